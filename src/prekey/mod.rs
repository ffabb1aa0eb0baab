//! The keys that a device publishes, so that others can start sessions with it while it sleeps.
//!
//! Owns: the device's identity ([`Device`]), its prekeys ([`SignedPrekey`], [`OneTimePrekey`], [`KemPrekey`]) and their ids
//! ([`PrekeyIds`]), the bundle of them ([`UnverifiedBundle`], which becomes a [`Bundle`] when its signatures verify), what
//! is uploaded of them ([`PrekeyUpload`]), when to make new ones ([`rotation`]), and the memory that stops replayed first
//! messages ([`SeenBaseKeys`]).
//!
//! **Not its concern:** what is agreed with these keys, where they are stored, how they reach the server.
//!
//! Sources: The PQXDH Key Agreement Protocol (revision 3), sections 2.3 and 3.2.

mod bundle;
mod device;
mod ids;
mod prekeys;
mod publish;
pub mod rotation;
mod seen;
mod signed;
mod upload;

pub use bundle::{Bundle, BundleError, PublishedPrekey, UnverifiedBundle};
pub use device::Device;
pub use ids::{IdsExhausted, PrekeyIds};
pub use prekeys::{KemPrekey, OneTimePrekey, PrekeySecrets, SignedPrekey};
pub use seen::SeenBaseKeys;
pub use upload::{MAX_UPLOAD_LEN, PrekeyCounts, PrekeyUpload, PrekeyUploadError, PrekeyUploadId};
pub(crate) use upload::{read_all, read_kem, read_one_time, read_signed, write_kem, write_one_time, write_signed};
