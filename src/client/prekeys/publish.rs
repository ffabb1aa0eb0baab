use alloc::vec::Vec;

use crate::client::Client;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::prekey::{Device, IdsExhausted, PrekeyUploadId};
use crate::prekey::{PrekeyCounts, PrekeyUpload};
use crate::rows::{Core, Set};
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::suite::Suite;

/// Why no prekeys were made. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The account was wiped.
    #[error("there is no account")]
    NoAccount,
    /// All ids are used: two thousand million. Make a new account.
    #[error(transparent)]
    IdsExhausted(#[from] IdsExhausted),
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

pub(in crate::client) type Halt = Stop<PublishError>;

pub(in crate::client) fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(PublishError::from)
}

impl Client {
    /// Makes the prekeys that are due, and gives what is to be uploaded, one upload for each suite: when the account is
    /// new, when [`Client::maintain`] or [`Client::todo`] says so, or when the server reports that one-time prekeys run
    /// low.
    ///
    /// `server` is what the server still has of suite V1, or of `Signal` if the device speaks nothing else; a host that
    /// speaks both tells the rest with [`Client::publish_prekeys_of`]. The same upload comes again until
    /// [`Client::published`] says that it has arrived, and nothing is made in the meantime but its dates, once a week:
    /// however long uploads fail, nothing is lost and nothing grows.
    ///
    /// # Errors
    ///
    /// [`PublishError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (alice, db) = account("alice");
    /// # let (now, mut rng) = (NOW, rng());
    /// let uploads = alice
    ///     .publish_prekeys(PrekeyCounts::default())
    ///     .run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert_eq!(uploads[0].one_time.len(), 100);
    /// for upload in uploads {
    ///     // The host brings `upload.to_bytes()` to the server, and when that has said that it has it:
    ///     alice.published(upload.id).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_prekeys(&self, server: PrekeyCounts) -> Operation<Vec<PrekeyUpload>, PublishError> {
        let core = self.core.clone();
        Operation::new("publish_prekeys", move |work| {
            publish(&core, work, |suite, device| {
                let first = if device.suites().contains(Suite::V1) { Suite::V1 } else { Suite::Signal };
                (suite == first).then_some(server)
            })
        })
    }

    /// The same for a device that speaks both suites: what the server still has of each. Of a suite that is not listed
    /// no one-time prekeys are topped up.
    ///
    /// # Errors
    ///
    /// [`PublishError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (alice, db) = account("alice");
    /// # let (now, mut rng) = (NOW, rng());
    /// # use subrosa::suite::Suite;
    /// let server = [(Suite::V1, PrekeyCounts { one_time: 90, one_time_kem: 12 }), (Suite::Signal, PrekeyCounts::FULL)];
    /// let uploads = alice.publish_prekeys_of(&server).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// # assert_eq!(uploads.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_prekeys_of(&self, server: &[(Suite, PrekeyCounts)]) -> Operation<Vec<PrekeyUpload>, PublishError> {
        let (core, server) = (self.core.clone(), server.to_vec());
        Operation::new("publish_prekeys_of", move |work| {
            publish(&core, work, |suite, _| {
                server.iter().find(|(listed, _)| *listed == suite).map(|(_, counts)| *counts)
            })
        })
    }

    /// Says that an upload has arrived at the server: the one that [`Client::publish_prekeys`] has given under this
    /// [id](PrekeyUpload::id). Only then do the prekeys before it begin to age.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// See [`Client::publish_prekeys`].
    pub fn published(&self, upload: PrekeyUploadId) -> Operation<Publication, StoredError> {
        let core = self.core.clone();
        Operation::new("published", move |work| {
            let mut prekeys = core.load_prekeys(work)?;
            let is_it = |set: &Set| set.pending == Some(upload);
            #[cfg(test)]
            let is_it = |set: &Set| is_it(set) || (set.pending.is_some() && planted::is(Defect::AnyUpload));
            let Some(set) = prekeys.sets.iter_mut().find(|set| is_it(set)) else {
                return Ok(Publication::NotPending);
            };
            set.confirm();
            core.save_prekeys(work, &prekeys);
            Ok(Publication::Confirmed)
        })
    }
}

/// What became of the news that an upload has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Publication {
    /// It is confirmed: it does not come again.
    Confirmed,
    /// No upload of that id waits, and nothing has changed: it was confirmed before, or was given out under another id with
    /// other contents since. What waits now is to be uploaded still.
    NotPending,
}

fn publish(
    core: &Core,
    work: &mut Workspace<'_>,
    server: impl Fn(Suite, &Device) -> Option<PrekeyCounts>,
) -> Result<Vec<PrekeyUpload>, Halt> {
    work.announce([core.device_key(), core.prekeys_key(), core.clock_key()]);
    let device = core.load_device(work).map_err(from_stored)?.ok_or(PublishError::NoAccount)?;
    let mut prekeys = core.load_prekeys(work).map_err(from_stored)?;
    core.delete_expired(work, &mut prekeys).map_err(from_stored)?;
    let went_back = prekeys.generation != core.generation;
    prekeys.generation = core.generation;
    let mut uploads = Vec::new();
    for suite in [Suite::V1, Suite::Signal].into_iter().filter(|suite| device.suites().contains(*suite)) {
        let mut set = prekeys.take(suite).unwrap_or_else(|| Set::new(suite, &mut work.public));
        core.make_due(work, &device, &mut set, went_back, server(suite, &device))?;
        if let Some(id) = set.pending {
            uploads.push(core.upload(work, &device, &set, id).map_err(from_stored)?);
        }
        prekeys.sets.push(set);
    }
    core.save_prekeys(work, &prekeys);
    Ok(uploads)
}
