//! The interface that most hosts use: one device whose state lies in opaque records in the host's database, changed by
//! operations that are staged, committed in one transaction of the host's, and only then exist.
//!
//! Owns: [`Client`] and its operations, by subject: the account, prekeys, contacts, messages, repair, upkeep; and what the
//! host is to do ([`Task`]).
//!
//! **Not its concern:** how an operation is staged and committed (room [`staging`](crate::staging), whose types that a host
//! writes down are here as well), what lies in which row (room `rows`, docs/records.md); transport, the database itself,
//! clocks, randomness: they are arguments. What people write is the host's to keep.
//!
//! # How an operation goes
//!
//! 1. [`Client::send`], [`Client::receive`] and the others make an [`Operation`]. Nothing has happened.
//! 2. [`Operation::run`] does the rest over the host's [`Database`]. It loads the records that are needed and computes. Nothing
//!    has happened.
//! 3. It commits the changes in one durable transaction, with rows of the host's: the message it shows, the envelope it will
//!    post. A row that somebody else changed meanwhile is a conflict, and all begins anew; so many workers and processes share
//!    one database without locks.
//! 4. It gives the outcome, which is durable.
//!
//! Whoever cannot lend a database steps the operation by hand ([`Step`](crate::staging::Step),
//! [`Staged`](crate::staging::Staged)), to the same bytes.
//!
//! # When something breaks
//!
//! | where | what is true | what the host does |
//! |---|---|---|
//! | before the commit | nothing happened | receives the same bytes again; sends again with the same message id |
//! | the commit's outcome is unknown | either | stages again: of a message id that was sent nothing goes out twice, its envelope is in the outbox; a received message is [`ReceiveError::Duplicate`] |
//! | after the commit, before the network | the envelope is in the outbox | posts the same bytes again; the recipient sees a duplicate |
//! | a lost race | [`ApplyError::Conflict`](crate::staging::ApplyError), nothing happened | stages again: [`Operation::run`] does |
//! | an older database came back | found when it is opened, by the [`RollbackCounter`] | goes on: new sessions are made, old ones still read |
//!
//! Sources: `docs/protocol.md`, `docs/records.md`.

mod account;
mod contacts;
mod messages;
mod prekeys;
mod repair;
#[cfg(test)]
mod tests;
mod upkeep;

use alloc::sync::Arc;

use crate::ident::Address;
use crate::report::FramingPolicy;
use crate::rows::Core;
#[cfg(any(test, feature = "std"))]
use crate::staging::RowCache;

pub use account::{
    AnsweredLink, CreateError, DeviceStanding, HandOverError, LinkDeviceError, Linked, OpenError, Opened, OwnRoster,
    OwnRosterError, OwnRosterUpdate, RenewError, RollbackCounter,
};
pub use contacts::{
    AccountKeyError, AccountStatus, AddError, AddUserError, Added, AddedUser, IdentityError, IdentityStatus, KnownUser,
    PeerDevice, ResetError, UserStatus,
};
pub use messages::{
    BlockedMessage, Disposition, ForkedMessage, FramedMessage, FramedSent, Lane, MAX_BULK, MAX_BULK_BYTES, Outgoing,
    ReceiveError, Received, ReceivedMessage, Recipient, RepairRequest, ResendDeclined, RosterMessage, SendError, Sent,
    UnlistedMessage, Unreadable,
};
pub use prekeys::{Publication, PublishError};
pub use repair::{AskError, ResendError, Task};
pub use upkeep::{MaintainError, Maintained, PruneFrom, Pruned};

pub use crate::prekey::{PrekeyCounts, PrekeyUpload, PrekeyUploadId};
pub use crate::rows::{OldRow, Verified};
pub use crate::staging::{Database, Operation, RunError, StoredError};

/// One device, as its host holds it: a handle on keys; all state is in the host's database. Cheap to clone, the same in every
/// thread.
///
/// # Methods, in the order of use
///
/// | when | what |
/// |---|---|
/// | the app starts | [`open_or_create`](Self::open_or_create), or [`open`](Self::open) and [`create`](Self::create); [`adopt`](Self::adopt) an identity that exists already; [`with_framing`](Self::with_framing), `with_session_cache` |
/// | then, and every few minutes | [`todo`](Self::todo) says which of the following is due |
/// | prekeys | [`publish_prekeys`](Self::publish_prekeys), upload them, [`published`](Self::published); [`publish_prekeys_of`](Self::publish_prekeys_of) one suite |
/// | somebody is written to | [`add_session`](Self::add_session), [`send`](Self::send); framed [`send_framed`](Self::send_framed), and [`own_stamp`](Self::own_stamp) when the stamp comes back |
/// | mail comes | [`receive`](Self::receive), [`receive_many`](Self::receive_many) |
/// | messages could not be read | [`answer`](Self::answer), or [`resend`](Self::resend) and [`decline_resend`](Self::decline_resend); [`ask_again`](Self::ask_again), [`withdraw_wish`](Self::withdraw_wish) |
/// | an identity key has changed | [`peer`](Self::peer) says which; [`accept_identity`](Self::accept_identity), [`refuse_identity`](Self::refuse_identity) |
/// | once a day | [`maintain`](Self::maintain), then [`prune`](Self::prune) for every page, [`prune_on`](Self::prune_on) where there is more |
/// | the user deletes | [`forget_message`](Self::forget_message), [`forget_device`](Self::forget_device), [`forget_identity`](Self::forget_identity) |
/// | something went wrong | [`reset`](Self::reset) a session |
/// | questions | [`address`](Self::address), [`generation`](Self::generation), [`identity_key`](Self::identity_key), [`peer`](Self::peer), [`devices_of`](Self::devices_of), [`peers`](Self::peers), [`framing`](Self::framing) |
/// | settings | [`set_framing`](Self::set_framing), [`change_storage_key`](Self::change_storage_key) |
/// | the end | [`wipe`](Self::wipe) |
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Talking { alice, alice_db, bob, bob_db, now, mut rng, .. } = talking();
/// // What is sent, and the row of the host's outbox, in one transaction.
/// let send = alice.send(MessageId::new([1; 16]), bob.address(), b"Hello, Bob");
/// send.run(&alice_db, now, &mut rng, |tx, sent| {
///     tx.outbox.extend(sent.outgoing().iter().map(Outgoing::bytes));
///     Ok(())
/// })?;
/// // Posted from there; the other host receives it.
/// let envelope = Envelope::parse(&alice_db.outbox()[0])?;
/// let received = bob.receive(&envelope).run(&bob_db, now, &mut rng, |_, _| Ok(()))?;
/// let Received::Message(message) = received else { panic!() };
/// assert_eq!(message.plaintext(), Some(&b"Hello, Bob"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    core: Arc<Core>,
    framing: Option<FramingPolicy>,
}

impl Client {
    fn new(core: Core) -> Self {
        Self { core: Arc::new(core), framing: None }
    }

    /// The same client with framing: it receives framed messages, and in conversations that are framed does as the policy
    /// says with what a user would see and is not. Other conversations go on as without: one handle, and one
    /// [`Self::receive_many`], for an inbox of both kinds. A conversation is framed from its first framed message on, or when
    /// [`Self::set_framing`] says so.
    ///
    /// A handle without it leaves framed messages with the transport ([`Disposition::Later`]), and looks at no conversation's
    /// setting.
    ///
    /// # Examples
    ///
    /// See [`Client::send_framed`].
    #[must_use]
    pub fn with_framing(&self, policy: FramingPolicy) -> Self {
        Self { core: self.core.clone(), framing: Some(policy) }
    }

    /// The same client with a memory: of the sessions with so many devices that it last used it keeps what their rows hold.
    /// A message of a conversation that is going on then costs a quarter less: its row is loaded and compared, but not opened
    /// and read. Handles that are made of this one share its memory; 0 gives a handle that has none.
    ///
    /// A session takes 3 to 8 kB. Of as many devices as were asked for nearly all are found, and at most twice as many are
    /// held, in eights; a quarter of a million at most, whatever is asked for. [`Self::receive_many`] holds one session for
    /// each sender besides, while it is staged. What an operation has used and does not write anew, as after a forged message,
    /// is opened the next time.
    ///
    /// No batch and no outcome changes by it, and nothing about commits, conflicts and other processes: what it holds is used
    /// for a row of the same version and tag, and for no other. So damage within a row that is known shows only once it is
    /// not known any more, unless the row was written anew by then.
    ///
    /// Needs the feature `std`; docs/storage.md says what it asks of a host.
    ///
    /// # Security
    ///
    /// Without it, a client holds no key of a conversation between operations. With it, whoever reads the process's memory
    /// finds those of these devices. And keys may stay there that are deleted in the database: where another process goes on
    /// with the conversation, or a staging was dropped or lost its race, what this one's memory holds is of before, until the
    /// conversation is used here again or the place is needed. So it is for servers, bots and an app that somebody is looking
    /// at: drop the handle when the app goes to the background, and go on with one that has none.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// let alice = alice.with_session_cache(64);
    /// for number in 0..3 {
    ///     let send = alice.send(MessageId::new([number; 16]), bob.address(), b"hi");
    ///     send.run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(any(test, feature = "std"))]
    #[must_use]
    pub fn with_session_cache(&self, devices: usize) -> Self {
        let cache = RowCache::new(devices).map(Arc::new);
        Self { core: Arc::new(Core { cache, ..(*self.core).clone() }), framing: self.framing }
    }

    /// One's own address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.core.address
    }

    /// How often the whole store went back in time, plus one.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.core.generation
    }
}
