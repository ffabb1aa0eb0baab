use alloc::vec::Vec;

use super::archive::Archive;
use super::peer::{Peer, erase};
use super::sent::Slot;
use super::wants::Wants;
use super::workspace::{Stop, Workspace};
use super::{Client, Core, Operation, StoredError};
use crate::ident::Address;
use crate::wire::RecordKind;

/// An archived session in which nothing was read for so long is deleted: 30 days.
const ARCHIVED_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// What tidying a page gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tidied {
    /// The peer devices of the page.
    pub peers: Vec<Address>,
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
    /// have fallen silent.
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
            let peers = core.load_page(work, page)?;
            work.announce(peers.iter().map(|address| core.peer_key(RecordKind::Peer, address)));
            work.announce([super::wants::key(&core)]);
            work.ready()?;
            let mut wants = Wants::load(&core, work)?;
            let mut wanted = false;
            for address in &peers {
                if let Some(peer) = core.load_peer(work, address)? {
                    wanted |= !peer.session.can_send(work.now) && wants.bundle(address);
                    announce(&core, work, &peer);
                }
            }
            work.ready()?;
            for address in &peers {
                if let Some(peer) = core.load_peer(work, address)? {
                    let (archive, old) = old_sessions(&core, work, &peer)?;
                    drop(archive);
                    for kind in [RecordKind::Archived, RecordKind::Kept] {
                        work.announce(old.iter().map(|name| core.session_key(kind, address, *name)));
                    }
                }
            }
            work.ready()?;
            for address in &peers {
                if let Some(peer) = core.load_peer(work, address)? {
                    tidy(&core, work, peer)?;
                }
            }
            if wanted {
                wants.save(&core, work)?;
            }
            Ok(Tidied { peers })
        })
    }
}

/// What tidying a peer device reads.
fn announce(core: &Core, work: &mut Workspace<'_>, peer: &Peer) {
    let slots = peer.sent_slots();
    work.announce(slots.into_iter().map(|slot| Slot::key(core, &peer.address, slot)));
    if peer.has_archived() || !peer.session.names().is_empty() {
        work.announce([core.peer_key(RecordKind::Archive, &peer.address)]);
    }
    if let Some(name) = peer.session.current_name().filter(|name| peer.session.kept_is_due(*name, work.now)) {
        work.announce([core.session_key(RecordKind::Kept, &peer.address, name)]);
    }
}

fn old_sessions(
    core: &Core,
    work: &mut Workspace<'_>,
    peer: &Peer,
) -> Result<(Archive, Vec<crate::session::Name>), Halt> {
    if !peer.has_archived() {
        return Ok((Archive::default(), Vec::new()));
    }
    let archive = Archive::load(core, work, &peer.address)?;
    let old = archive.older_than(ARCHIVED_MS, work.now);
    Ok((archive, old))
}

fn tidy(core: &Core, work: &mut Workspace<'_>, mut peer: Peer) -> Result<(), Halt> {
    let mut changed = false;
    for number in peer.sent_slots() {
        let mut slot = Slot::load(core, work, (number, Slot::key(core, &peer.address, number)))?;
        let before = slot.len();
        slot.expire(work.now);
        if slot.len() != before {
            slot.save(core, work, &mut peer);
            changed = true;
        }
    }
    let (mut archive, old) = old_sessions(core, work, &peer)?;
    for name in &old {
        erase(core, work, RecordKind::Archived, &peer.address, *name)?;
        erase(core, work, RecordKind::Kept, &peer.address, *name)?;
        archive.remove(*name);
    }
    if !old.is_empty() {
        archive.save(core, work, &peer.address)?;
        peer.set_archived(archive.len());
        changed = true;
    }
    if let Some(name) = peer.session.current_name().filter(|name| peer.session.kept_is_due(*name, work.now)) {
        peer.bring_kept(core, work, name)?;
        peer.session.expire(work.now);
        changed = true;
    }
    if changed { peer.save(core, work) } else { Ok(()) }
}
