use crate::client::{PrekeyCounts, PrekeyUpload};
use crate::ident::Address;
use crate::prekey::UnverifiedBundle;
use crate::testing::Relay;

/// What a host asks its server for: prekeys, its own and others'. [`Relay`] answers as a server should.
pub trait Directory {
    /// Takes prekeys. Whether the device is told that they have arrived.
    fn upload(&mut self, upload: PrekeyUpload) -> bool;

    /// How many one-time prekeys of a device are left.
    fn counts(&self, address: &Address) -> PrekeyCounts;

    /// Hands out a device's bundle.
    fn bundle(&mut self, address: &Address) -> Option<UnverifiedBundle>;
}

impl Directory for Relay {
    fn upload(&mut self, upload: PrekeyUpload) -> bool {
        Self::upload(self, upload);
        true
    }

    fn counts(&self, address: &Address) -> PrekeyCounts {
        Self::counts(self, address)
    }

    fn bundle(&mut self, address: &Address) -> Option<UnverifiedBundle> {
        Self::bundle(self, address)
    }
}
