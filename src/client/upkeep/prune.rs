use alloc::vec::Vec;

use crate::client::Client;
use crate::client::repair::Stand;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::{Address, Timestamp};
use crate::rows::{Archive, Core, Dates, Wishes, erase, erase_skipped};
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::wire::RecordKind;

/// An archived session in which nothing was read for so long is deleted: 30 days.
const ARCHIVED_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Peer devices of one staging; the next one takes others.
const MAX_PEERS: usize = 32;

/// Segments of the sent log after which a staging takes no further device; one has 48 at most.
const MAX_RECORDS: usize = 128;

/// What pruning a page gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// The peer devices of the page.
    pub peers: Vec<Address>,
    /// Those whose records do not open. See docs/records.md on damage, and [`Client::forget_device`].
    pub damaged: Vec<(Address, StoredError)>,
    /// Where to go on, for [`Client::prune_on`]; `None` at the end of the page.
    pub next: Option<PruneFrom>,
}

/// A place in a page: what comes before it was pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneFrom {
    page: u8,
    /// How many devices.
    device: usize,
}

type Halt = Stop<StoredError>;

impl Client {
    /// Parts that the index of peer devices has: pages 0 to 255.
    pub const PAGES: u16 = 256;

    /// Does what is due for one part of the peer devices, one 256th of them: deletes message keys that were skipped 30
    /// days ago, archived sessions in which nothing was read for as long, what the sent log has of before, and wishes that are
    /// over. Times go by what [`Client::maintain`] has settled on, a day or two behind: a clock that is wrong for an hour deletes
    /// nothing.
    ///
    /// To be called for every page once a day. Receiving deletes no key for its age, whatever clock comes with it: only this
    /// does. Work is bounded: of many devices or messages a staging takes some, and says where to [go on](Self::prune_on).
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
    ///     let mut pruned = alice.prune(page).run(&db, now, &mut rng, |_, _| Ok(()))?;
    ///     while let Some(next) = pruned.next {
    ///         pruned = alice.prune_on(next).run(&db, now, &mut rng, |_, _| Ok(()))?;
    ///     }
    ///     peers.extend(pruned.peers);
    /// }
    /// assert_eq!(peers, [bob.address().clone()]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn prune(&self, page: u8) -> Operation<Pruned, StoredError> {
        self.prune_on(PruneFrom { page, device: 0 })
    }

    /// Goes on with a page.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// See [`Client::prune`].
    pub fn prune_on(&self, from: PruneFrom) -> Operation<Pruned, StoredError> {
        let core = self.core.clone();
        Operation::new("prune", move |work| {
            // Each device stands for itself: that a message came for another one meanwhile is no conflict.
            work.rely_on_nothing();
            work.announce([core.clock_key()]);
            let peers = core.load_page(work, from.page)?;
            work.announce([core.wish_page_key(from.page), core.wish_index_key()]);
            let some = || peers.iter().enumerate().skip(from.device).take(MAX_PEERS);
            work.announce([core.account_key()]);
            work.announce(some().map(|(_, address)| core.user_key(address.user())));
            for kind in [RecordKind::Peer, RecordKind::Archive, RecordKind::Wishes] {
                work.announce(some().map(|(_, address)| core.peer_key(kind, address)));
            }
            work.ready()?;
            let settled = core.settled(work)?;
            let (mut damaged, mut records) = (Vec::new(), 0);
            let after = from.device.saturating_add(MAX_PEERS);
            let mut next = (after < peers.len()).then_some(PruneFrom { device: after, ..from });
            if from.device == 0 {
                prune_strangers(&core, work, from.page, &peers, settled)?;
            }
            for (device, address) in some() {
                if records >= MAX_RECORDS {
                    next = Some(PruneFrom { device, ..from });
                    break;
                }
                match work.attempt(|work| prune_device(&core, work, address, settled, &mut records)) {
                    Ok(()) => {}
                    Err(Stop::Fail(error)) => damaged.push((address.clone(), error)),
                    // What others need is asked for in the same round.
                    Err(Stop::Need) => {}
                }
            }
            work.ready()?;
            Ok(Pruned { peers, damaged, next })
        })
    }
}

/// Does what is due for what could not be read of devices that are not known.
fn prune_strangers(
    core: &Core,
    work: &mut Workspace<'_>,
    page: u8,
    peers: &[Address],
    settled: Timestamp,
) -> Result<(), Halt> {
    let wishes = core.load_wishes(work, page)?;
    let devices = || wishes.iter().filter(|wish| wish.user().is_none());
    let strangers = || devices().map(|wish| &wish.address).filter(|address| peers.binary_search(address).is_err());
    work.announce(strangers().flat_map(|address| core.wish_keys(address)));
    work.announce(strangers().map(|address| core.user_key(address.user())).chain([core.account_key()]));
    work.ready()?;
    for address in strangers() {
        // A device that was listed, and is not any more, before there was a session with it.
        if core.is_dropped(work, address)? {
            match core.forget_device(work, address) {
                // What others need is asked for in the same round.
                Ok(()) | Err(Stop::Need) => continue,
                Err(stop) => return Err(stop),
            }
        }
        let mut wishes = Wishes::load(core, work, address)?;
        if wishes.expire(settled) {
            wishes.save(core, work, Stand::Stranger)?;
        }
    }
    work.ready()
}

/// Does what is due for one device: what one leaves behind that is not its user's any more is deleted.
fn prune_device(
    core: &Core,
    work: &mut Workspace<'_>,
    address: &Address,
    settled: Timestamp,
    records: &mut usize,
) -> Result<(), Halt> {
    if !core.is_dropped(work, address)? {
        return prune(core, work, address, settled, records);
    }
    // As many as a device may have of rows.
    *records += MAX_RECORDS / 2;
    core.forget_device(work, address)?;
    work.remove(core.peer_key(RecordKind::Pin, address))
}

/// Does what is due for one device, by the time for deletions, and counts the segments of its sent log that go.
fn prune(
    core: &Core,
    work: &mut Workspace<'_>,
    address: &Address,
    settled: Timestamp,
    records: &mut usize,
) -> Result<(), Halt> {
    let Some(mut peer) = core.load_peer(work, address)? else { return Ok(()) };
    let dates = Dates::new(settled, work.now);
    if peer.sent.looks_old(dates) {
        peer.announce_index(core, work);
    }
    // What a rollback has taken out of use is archived with whatever else changes.
    peer.announce_places(core, work, peer.session.names());
    let due = peer.session.current_name().filter(|name| peer.session.skipped_is_due(*name, settled));
    let mut archive = if peer.has_archived() { Archive::load(core, work, address)? } else { Archive::default() };
    let old = archive.older_than(ARCHIVED_MS, settled);
    work.announce(old.iter().map(|name| core.session_key(RecordKind::Archived, address, *name)));
    work.announce(old.iter().chain(&due).map(|name| core.session_key(RecordKind::SkippedKeys, address, *name)));
    let segments = peer.old_segment_keys(core, work, dates)?;
    *records += segments.len();
    // In one round: the segments, and the pages of all sessions.
    work.announce(segments);
    for name in &old {
        let pages = core.skipped_page_keys(work, address, *name)?;
        work.announce(pages);
    }
    if let Some(name) = due {
        peer.bring_skipped(core, work, &[name], |session, name| session.expiring_touched(name, settled))?;
        peer.session.expire(settled);
    }
    work.ready()?;
    let mut changed = peer.drop_old_sent(core, work, dates)? || due.is_some();
    if !old.is_empty() {
        erase_skipped(core, work, address, &old)?;
        for name in &old {
            erase(core, work, RecordKind::Archived, address, *name)?;
            archive.remove(*name);
        }
        archive.save(core, work, address)?;
        peer.set_archived(archive.len());
        changed = true;
    }
    let mut wishes = Wishes::load(core, work, address)?;
    let stand = Stand::of(Some(&peer), work.now);
    #[cfg(test)]
    if planted::is(Defect::PruneWishes) && !peer.session.can_send(work.now) {
        wishes.bundle = true;
        wishes.save(core, work, stand)?;
    }
    if changed {
        peer.save(core, work)?;
    }
    if wishes.expire(settled) {
        wishes.save(core, work, stand)?;
    }
    Ok(())
}
