use alloc::vec::Vec;

use crate::account::Roster;
use crate::client::Client;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::Address;
use crate::rows::{Archive, Core, all_numbers, segment_key};
use crate::session::Name;
use crate::staging::{Operation, Stop, StoredError, Workspace, unless_damaged};
use crate::wire::RecordKind;

impl Client {
    /// Forgets a peer device: its sessions, what was sent to it, and, if no other device of its user is known, the chains of
    /// framed messages. When it is gone for good, or when its records are damaged: nothing of them has to open.
    ///
    /// The identity key that it was known by stays, in a row of its own, until [`Client::forget_identity`] deletes it.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Security
    ///
    /// Whoever comes under its name next is held against the key that it was known by: another one is
    /// [`IdentityStatus::Changed`](crate::client::IdentityStatus::Changed).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// alice.forget_device(bob.address()).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(alice.send(MessageId::new([1; 16]), bob.address(), b"hi").stage(&db, now, &mut rng).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn forget_device(&self, address: &Address) -> Operation<(), StoredError> {
        let (core, address) = (self.core.clone(), address.clone());
        Operation::new("forget_device", move |work| forget(&core, work, &address))
    }

    /// Forgets the identity key of a device that [was forgotten](Client::forget_device). Of one that is known nothing is
    /// forgotten. Gives whether there was a key.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Security
    ///
    /// Whoever comes under the device's name next is seen for the first time: its identity key is taken as it comes. Only for
    /// a contact that the user has done with for good.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// alice.forget_device(bob.address()).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(alice.forget_identity(bob.address()).run(&db, now, &mut rng, |_, _| Ok(()))?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn forget_identity(&self, address: &Address) -> Operation<bool, StoredError> {
        let (core, address) = (self.core.clone(), address.clone());
        Operation::new("forget_identity", move |work| {
            let key = core.peer_key(RecordKind::Pin, &address);
            work.announce([key]);
            let is_known = work.row::<StoredError>(core.peer_key(RecordKind::Peer, &address))?.is_some();
            let forgets = work.row::<StoredError>(key)?.is_some() && !is_known;
            if forgets {
                work.delete(key);
            }
            Ok(forgets)
        })
    }
}

impl Core {
    /// Deletes all that is known of a device but the identity key.
    pub(in crate::client) fn forget_device(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
    ) -> Result<(), Stop<StoredError>> {
        forget(self, work, address)
    }

    /// Whether a device that is known is one that the newest roster of its user does not list.
    pub(in crate::client) fn is_dropped(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
    ) -> Result<bool, Stop<StoredError>> {
        let Some(account) = self.load_published(work)? else { return Ok(false) };
        let lists = |roster: &Roster| roster.device(address.device()).is_some();
        if address.user() == self.address.user() {
            return Ok(!lists(&account.roster));
        }
        let Some(user) = self.load_user(work, address.user())? else { return Ok(false) };
        Ok(user.roster().is_some_and(|roster| !lists(roster)) && !user.changed.as_ref().is_some_and(lists))
    }
}

fn forget(core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<(), Stop<StoredError>> {
    let kinds = [RecordKind::Peer, RecordKind::Archive, RecordKind::UntrustedSession, RecordKind::Wishes];
    let mut keys: Vec<_> = kinds.into_iter().map(|kind| core.peer_key(kind, address)).collect();
    keys.extend(all_numbers().map(|number| segment_key(core, address, number)));
    keys.push(core.peer_key(RecordKind::SentIndex, address));
    let page = core.page_of(address);
    let pin = core.peer_key(RecordKind::Pin, address);
    work.announce(keys.iter().copied().chain([core.page_key(page), pin]).chain(core.wish_keys(address)));
    work.announce([core.chains_key(address.user())]);
    work.ready()?;
    // It was written when the device was first seen; if it was lost, the device's own row has the key, if that opens.
    if work.row::<StoredError>(pin)?.is_none()
        && let Some(peer) = unless_damaged(core.load_peer(work, address))?.flatten()
    {
        core.pin(work, address, peer.session.remote_identity())?;
    }
    core.forget_chains(work, address)?;
    #[cfg(test)]
    if planted::is(Defect::PinGoes) {
        keys.push(pin);
    }
    let names = names(core, work, address)?;
    for name in &names {
        keys.push(core.session_key(RecordKind::Archived, address, *name));
        keys.push(core.session_key(RecordKind::SkippedKeys, address, *name));
    }
    work.announce(keys.iter().copied());
    work.ready()?;
    for name in names {
        keys.extend(unless_damaged(core.skipped_page_keys(work, address, name))?.unwrap_or_default());
    }
    work.announce(keys.iter().copied());
    work.ready()?;
    for key in keys {
        if work.row::<StoredError>(key)?.is_some() {
            work.delete(key);
        }
    }
    let mut addresses = core.load_page(work, page)?;
    if let Ok(at) = addresses.binary_search(address) {
        addresses.remove(at);
        core.save_page(work, page, &addresses)?;
    }
    core.enter_wish(work, address, None, false, false)
}

/// The sessions that are known of, as far as the records open.
fn names(core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<Vec<Name>, Stop<StoredError>> {
    let archive = unless_damaged(Archive::load(core, work, address))?;
    let peer = unless_damaged(core.load_peer(work, address))?.flatten();
    let mut names = archive.map(|archive| archive.names()).unwrap_or_default();
    names.extend(peer.map(|peer| peer.names()).unwrap_or_default());
    Ok(names)
}
