use alloc::vec::Vec;

use super::archive::Archive;
use super::kept::erase_kept;
use super::peer::erase;
use super::sent::Slot;
use super::wants::Wants;
use super::workspace::{Stop, Workspace};
use super::{Client, Core, Operation, StoredError};
use crate::ident::Address;
use crate::wire::RecordKind;

/// An archived session in which nothing was read for so long is deleted: 30 days.
const ARCHIVED_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Peer devices of one staging; the next one takes others.
const MAX_PEERS: usize = 32;

/// Groups of records of the sent log that a staging looks at; the next one takes others.
const MAX_GROUPS: usize = 64;

/// What tidying a page gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tidied {
    /// The peer devices of the page.
    pub peers: Vec<Address>,
    /// Those whose records do not open. See docs/records.md on damage, and [`Client::forget_device`].
    pub damaged: Vec<(Address, StoredError)>,
    /// Where to go on, for [`Client::tidy_on`]; `None` at the end of the page.
    pub next: Option<TidyFrom>,
}

/// A place in a page: what comes before it was tidied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TidyFrom {
    page: u8,
    /// How many devices, and of the next one how many groups of the sent log.
    device: usize,
    groups: usize,
}

type Halt = Stop<StoredError>;

impl Client {
    /// Parts that the index of peer devices has: pages 0 to 255.
    pub const PAGES: u16 = 256;

    /// Does what is due for one part of the peer devices, one 256th of them: deletes what was kept for late messages for 30
    /// days, archived sessions in which nothing was read for as long, and message ids of more than 24 hours ago. Devices
    /// that have no session to be sent with are wanted a bundle of, see [`Client::wants`].
    ///
    /// To be called for every page once a day. Receiving deletes no key for its age, whatever clock comes with it: only this
    /// does. Work is bounded: of many devices or messages a staging takes some, and says where to [go on](Self::tidy_on).
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// let mut peers = Vec::new();
    /// for page in 0..=255 {
    ///     let mut tidied = alice.tidy(page).stage(&db, now, &mut rng)?.commit(|batch, _| db.write(batch))?;
    ///     while let Some(next) = tidied.next {
    ///         tidied = alice.tidy_on(next).stage(&db, now, &mut rng)?.commit(|batch, _| db.write(batch))?;
    ///     }
    ///     peers.extend(tidied.peers);
    /// }
    /// assert_eq!(peers, [bob.address().clone()]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tidy(&self, page: u8) -> Operation<Tidied, StoredError> {
        self.tidy_on(TidyFrom { page, device: 0, groups: 0 })
    }

    /// Goes on with a page.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// See [`Client::tidy`].
    pub fn tidy_on(&self, from: TidyFrom) -> Operation<Tidied, StoredError> {
        let core = self.core.clone();
        Operation::new(move |work| {
            // Each device stands for itself: that a message came for another one meanwhile is no conflict.
            work.rely_on_nothing();
            let peers = core.load_page(work, from.page)?;
            work.announce([super::wants::key(&core)]);
            let some = || peers.iter().enumerate().skip(from.device).take(MAX_PEERS);
            for kind in [RecordKind::Peer, RecordKind::Archive] {
                work.announce(some().map(|(_, address)| core.peer_key(kind, address)));
            }
            work.ready()?;
            let mut wants = Wants::load(&core, work)?;
            let (mut wanted, mut damaged) = (false, Vec::new());
            let mut left = MAX_GROUPS;
            let after = from.device.saturating_add(MAX_PEERS);
            let mut next = (after < peers.len()).then_some(TidyFrom { device: after, groups: 0, ..from });
            for (device, address) in some() {
                let groups = if device == from.device { from.groups } else { 0 };
                match work.attempt(|work| tidy(&core, work, address, groups, &mut left)) {
                    Ok(Part { needs_session, rest }) => {
                        wanted |= needs_session && wants.bundle(address);
                        if let Some(groups) = rest {
                            next = Some(TidyFrom { device, groups, ..from });
                            break;
                        }
                    }
                    Err(Stop::Fail(error)) => damaged.push((address.clone(), error)),
                    // What others need is asked for in the same round.
                    Err(Stop::Need) => {}
                }
            }
            work.ready()?;
            if wanted {
                wants.save(&core, work)?;
            }
            Ok(Tidied { peers, damaged, next })
        })
    }
}

/// What was done for a device.
struct Part {
    /// Whether it needs a session to be sent with.
    needs_session: bool,
    /// How many groups of its sent log were looked at, if there are others.
    rest: Option<usize>,
}

/// Does what is due for one device, of whose sent log so many groups were looked at before, and so many may be now.
fn tidy(
    core: &Core,
    work: &mut Workspace<'_>,
    address: &Address,
    before: usize,
    left: &mut usize,
) -> Result<Part, Halt> {
    let Some(mut peer) = core.load_peer(work, address)? else { return Ok(Part { needs_session: false, rest: None }) };
    let present = peer.sent.present();
    let groups: Vec<_> = present.iter().copied().skip(before).take(*left).collect();
    *left -= groups.len();
    let seen = before.saturating_add(groups.len());
    let mut rest = (seen < present.len()).then_some(seen);
    let place = |slot: u16| (slot, Slot::key(core, address, slot));
    work.announce(groups.iter().flat_map(|group| group.numbers()).map(|slot| place(slot).1));
    // What a rollback has taken out of use is archived with whatever else changes.
    peer.announce_places(core, work, peer.session.names());
    let due = peer.session.current_name().filter(|name| peer.session.kept_is_due(*name, work.now));
    let mut archive = if peer.has_archived() { Archive::load(core, work, address)? } else { Archive::default() };
    let old = archive.older_than(ARCHIVED_MS, work.now);
    work.announce(old.iter().map(|name| core.session_key(RecordKind::Archived, address, *name)));
    work.announce(old.iter().chain(&due).map(|name| core.session_key(RecordKind::Kept, address, *name)));
    work.ready()?;
    let mut changed = false;
    for group in groups {
        let mut gone = true;
        for number in group.numbers() {
            let mut slot = Slot::load(core, work, place(number))?;
            let before = slot.len();
            slot.expire(work.now);
            gone &= slot.is_empty();
            if slot.len() != before {
                slot.save(core, work, &mut peer);
            }
        }
        if gone {
            peer.sent.clear(group);
            rest = rest.map(|rest| rest.saturating_sub(1));
            changed = true;
        }
    }
    for name in &old {
        // Together with those of the current session.
        let pages = core.kept_page_keys(work, address, *name)?;
        work.announce(pages);
    }
    if let Some(name) = due {
        let now = work.now;
        peer.bring_kept(core, work, &[name], |session, name| session.expiring_touched(name, now))?;
        peer.session.expire(work.now);
        changed = true;
    }
    if !old.is_empty() {
        erase_kept(core, work, address, &old)?;
        for name in &old {
            erase(core, work, RecordKind::Archived, address, *name)?;
            archive.remove(*name);
        }
        archive.save(core, work, address)?;
        peer.set_archived(archive.len());
        changed = true;
    }
    let needs_session = !peer.parked && !peer.session.can_send(work.now);
    if changed {
        peer.save(core, work)?;
    }
    Ok(Part { needs_session, rest })
}
