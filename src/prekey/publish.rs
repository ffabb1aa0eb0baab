//! What a device publishes of its prekeys.

use alloc::vec::Vec;

use super::{Device, KemPrekey, OneTimePrekey, PrekeyUpload, PrekeyUploadId, SignedPrekey, UnverifiedBundle};

impl Device {
    /// What to publish for one new session; the prekeys must be of one suite. `one_time` is handed out once, then never
    /// again; `kem` is one-time as long as there are any, then last-resort.
    #[must_use]
    pub fn bundle(&self, signed: &SignedPrekey, kem: &KemPrekey, one_time: Option<&OneTimePrekey>) -> UnverifiedBundle {
        UnverifiedBundle {
            suite: signed.suite(),
            address: self.address().clone(),
            registration_id: self.registration_id(),
            identity_key: *self.identity_key(),
            signed_prekey: signed.published(),
            kem_prekey: kem.published(),
            kem_is_last_resort: kem.is_last_resort(),
            one_time_prekey: one_time.map(|prekey| (prekey.id(), *prekey.public_key())),
        }
    }

    /// What to upload of prekeys of one suite, without one-time ones: those are put into the lists of it. `last_resort` is a
    /// last-resort prekey.
    #[must_use]
    pub fn upload(&self, id: PrekeyUploadId, signed: &SignedPrekey, last_resort: &KemPrekey) -> PrekeyUpload {
        PrekeyUpload {
            id,
            suite: signed.suite(),
            address: self.address().clone(),
            registration_id: self.registration_id(),
            identity_key: *self.identity_key(),
            signed: signed.published(),
            last_resort: last_resort.published(),
            replaces_one_time: false,
            one_time: Vec::new(),
            one_time_kem: Vec::new(),
        }
    }
}
