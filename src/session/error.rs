use crate::ident::PrekeyId;

/// Why no session was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InitiateError {
    /// A key in the bundle is of low order: the "secret" would be known to everyone. Ask for another bundle.
    #[error("a key of the bundle does not agree")]
    BadKey,
    /// The bundle is of another address than the session's. Look for the right one.
    #[error("bundle is of another device")]
    WrongDevice,
    /// The bundle's signed or last-resort prekey is over 45 days old, or as far in the future: its owner's device sleeps, or
    /// the server holds newer ones back. Ask for another bundle, or tell the user that the device may be gone.
    #[error("prekeys are stale")]
    StalePrekey,
    /// The bundle is of suite `Signal`, and both devices speak V1, or the peer was seen with it: somebody takes the
    /// better suite away. Ask for a bundle of suite V1.
    #[error("bundle is of a weaker suite than both devices speak")]
    SuiteDowngrade,
    /// One's own device does not speak the bundle's suite. Enable it with
    /// [`Device::with_suites`](crate::prekey::Device::with_suites), or ask for a bundle of another suite.
    #[error("suite is not enabled")]
    SuiteNotEnabled,
    /// The bundle's identity key is not the one this session was made with. Ask the user; to go on, make a new
    /// [`Session`](super::Session).
    #[error("identity key has changed")]
    IdentityChanged,
}

/// Why nothing was encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptError {
    /// There is no current session, only archived ones. Start one from a bundle.
    #[error("no current session")]
    NoSession,
    /// The session was started over 30 days ago and never answered. Start another one from a fresh bundle.
    #[error("session was never answered and is too old to go on with")]
    Unanswered,
    /// Longer than the suite's [limit](crate::suite::Suite::max_plaintext_len). Send it as an attachment.
    #[error("plaintext is too long")]
    TooLong,
    /// Suite `Signal` cannot bind external associated data to a message.
    #[error("suite cannot bind external associated data")]
    NoExternalAd,
    /// A chain has given all its 2^32 − 1 keys. Start another session from a bundle.
    #[error("chain is exhausted")]
    Exhausted,
}

/// Why a message was not decrypted. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// There is no session at all to try, or, in suite V1, none of the name that the message gives. Ask the sender to
    /// start one.
    #[error("no session")]
    NoSession,
    /// The message was decrypted before. Acknowledge it to the transport and drop it.
    #[error("message is a duplicate")]
    Duplicate,
    /// Another message was read at its place in the chain: its sender's state was rolled back, from a backup or a
    /// clone, and it does not know. Ask it to send again in a new session. Nothing authenticates the message any more:
    /// a server that alters one that was read comes to the same.
    #[error("sender's state was rewound")]
    Rewound,
    /// A message at its place in the chain was read, and more than 64 of the chain since, so that it is not known any more
    /// whether it was this one. Most likely it is a duplicate, of an inbox that is delivered again; it may be of a sender
    /// whose state was rolled back that far. Acknowledge it and drop it.
    #[error("a message at its place was read before")]
    ReadBefore,
    /// So many messages, or so much time, came after it that its key is deleted. Acknowledge and drop it; the sender
    /// can send its content anew.
    #[error("message is too old")]
    TooOld,
    /// It is further ahead of the newest one than a chain may jump: 25,000 messages, or 2^20 between devices of one
    /// user that share an identity key. Start another session.
    #[error("message is too far ahead")]
    TooFarAhead,
    /// It is not authentic, or not for any session here, or its sender's state is lost. Which of these is not told
    /// apart: the answer would help an attacker. If it goes on, start another session.
    #[error("message cannot be decrypted")]
    Undecryptable,
}

impl DecryptError {
    /// Whether the sender should be asked to send again in a new session: the message may be genuine, and what it
    /// needs is lost on one side. A duplicate never asks for it.
    #[must_use]
    pub const fn asks_for_repair(self) -> bool {
        match self {
            Self::Duplicate | Self::ReadBefore => false,
            Self::NoSession | Self::Rewound | Self::TooOld | Self::TooFarAhead | Self::Undecryptable => true,
        }
    }
}

/// The kinds of prekeys; each has ids of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PrekeyKind {
    /// The signed X25519 prekey.
    Signed,
    /// A one-time X25519 prekey.
    OneTime,
    /// A KEM prekey, one-time or last-resort.
    Kem,
}

/// Why a first message was not accepted. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// It starts a session that is not here yet: look up the prekeys it
    /// [needs](super::FirstMessage::needs) and call again.
    #[error("a new session needs prekeys")]
    NeedsPrekeys,
    /// A prekey it names is not the one that was given, or was not given: unknown, deleted, or used by another
    /// session. Tell the sender to start again from a fresh bundle.
    #[error("{0:?} prekey {1:?} is unknown")]
    UnknownPrekey(PrekeyKind, PrekeyId),
    /// Its handshake was accepted before, and the session is gone: it is replayed, or its sender has not been answered
    /// and goes on with a session that was deleted here. No second session is made of it; ask the sender to start
    /// again from a fresh bundle.
    #[error("first message's handshake was accepted before")]
    Replayed,
    /// The signed prekey has accepted as many first messages as it may. Publish another one.
    #[error("signed prekey is worn out")]
    PrekeyWornOut,
    /// The identity key in it is not the one this session was made with. Ask the user; to go on, make a new
    /// [`Session`](super::Session) with [`Session::accept`](super::Session::accept).
    #[error("identity key has changed")]
    IdentityChanged,
    /// The device was seen with suite V1, and this starts a session of suite `Signal`: somebody takes the better suite
    /// away. Drop it.
    #[error("first message is of a weaker suite than its sender speaks")]
    SuiteDowngrade,
    /// One's own device does not speak the suite. Enable it with
    /// [`Device::with_suites`](crate::prekey::Device::with_suites), or drop the message.
    #[error("suite is not enabled")]
    SuiteNotEnabled,
    /// A key in it is of low order or has a small-order part, or the KEM ciphertext is of another mechanism than the
    /// prekey. Drop it.
    #[error("a key of the first message does not agree")]
    BadKey,
    /// It repeats the start of a session that has gone on, with a ratchet key that is not held any more: most likely it
    /// was read, and is delivered again. Nothing is computed for it, and on its own it is no reason to ask for anything.
    #[error("first message repeats a start that is long past")]
    LongPast,
    /// The message inside it cannot be decrypted.
    #[error(transparent)]
    Message(#[from] DecryptError),
}

impl AcceptError {
    /// Whether it was read before: acknowledge it to the transport and drop it.
    #[must_use]
    pub const fn is_duplicate(self) -> bool {
        matches!(self, Self::Message(DecryptError::Duplicate | DecryptError::ReadBefore))
    }

    /// Whether the sender should be asked to send again in a new session, see [`DecryptError::asks_for_repair`].
    #[must_use]
    pub const fn asks_for_repair(self) -> bool {
        match self {
            Self::UnknownPrekey(..) | Self::PrekeyWornOut | Self::Replayed => true,
            Self::Message(error) => error.asks_for_repair(),
            Self::NeedsPrekeys
            | Self::IdentityChanged
            | Self::SuiteDowngrade
            | Self::SuiteNotEnabled
            | Self::LongPast
            | Self::BadKey => false,
        }
    }
}
