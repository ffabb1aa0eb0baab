use alloc::vec::Vec;

use rand_core::Rng;

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

/// Groups of records of the sent log that a staging looks at: all that one peer device can have.
const MAX_GROUPS: usize = 1024;

/// What tidying a page gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tidied {
    /// The peer devices of the page.
    pub peers: Vec<Address>,
    /// Those whose records do not open. See docs/records.md on damage, and [`Client::forget_device`].
    pub damaged: Vec<(Address, StoredError)>,
}

type Halt = Stop<StoredError>;

impl Client {
    /// Parts that the index of peer devices has: pages 0 to 255.
    pub const PAGES: u16 = 256;

    /// Does what is due for one part of the peer devices, one 256th of them: deletes what was kept for late messages for 30
    /// days, archived sessions in which nothing was read for as long, and message ids of more than 24 hours ago. Devices
    /// that have no session to be sent with are wanted a bundle of, see [`Client::wants`].
    ///
    /// To be called for every page once a day; what is due is done when a message comes as well, so this is for those that
    /// have fallen silent. Work is bounded: of many devices or messages a staging takes some, and the next one others.
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
    ///     let tidied = alice.tidy(page).stage(&db, now, &mut rng)?.commit(|batch, _| db.write(batch))?;
    ///     peers.extend(tidied.peers);
    /// }
    /// assert_eq!(peers, [bob.address().clone()]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tidy(&self, page: u8) -> Operation<Tidied, StoredError> {
        let core = self.core.clone();
        Operation::new(move |work| {
            // Each device stands for itself: that a message came for another one meanwhile is no conflict.
            work.rely_on_nothing();
            let start = work.rng.next_u32();
            let peers = core.load_page(work, page)?;
            work.announce([super::wants::key(&core)]);
            let some = window(&peers, MAX_PEERS, start);
            for kind in [RecordKind::Peer, RecordKind::Archive] {
                work.announce(some.iter().map(|address| core.peer_key(kind, address)));
            }
            work.ready()?;
            let mut wants = Wants::load(&core, work)?;
            let (mut wanted, mut damaged) = (false, Vec::new());
            let mut groups = MAX_GROUPS;
            for address in some {
                match work.attempt(|work| tidy(&core, work, address, (start, &mut groups))) {
                    Ok(needs_session) => wanted |= needs_session && wants.bundle(address),
                    Err(Stop::Fail(error)) => damaged.push((address.clone(), error)),
                    // What others need is asked for in the same round.
                    Err(Stop::Need) => {}
                }
            }
            work.ready()?;
            if wanted {
                wants.save(&core, work)?;
            }
            Ok(Tidied { peers, damaged })
        })
    }
}

/// So many of a list, from a place on that changes from one staging to the next.
fn window<T>(list: &[T], count: usize, start: u32) -> Vec<&T> {
    let start = usize::try_from(start).ok().and_then(|start| start.checked_rem(list.len())).unwrap_or(0);
    list.iter().cycle().skip(start).take(count.min(list.len())).collect()
}

/// Does what is due for one device, with so many groups of the sent log left to look at. Whether it needs a session to be
/// sent with.
fn tidy(
    core: &Core,
    work: &mut Workspace<'_>,
    address: &Address,
    (start, left): (u32, &mut usize),
) -> Result<bool, Halt> {
    let Some(mut peer) = core.load_peer(work, address)? else { return Ok(false) };
    let groups = peer.sent.present();
    let groups = window(&groups, *left, start);
    *left -= groups.len();
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
            peer.sent.clear(*group);
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
    Ok(needs_session)
}
