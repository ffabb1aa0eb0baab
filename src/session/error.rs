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
    /// Longer than [`MAX_PLAINTEXT_LEN`](crate::wire::MAX_PLAINTEXT_LEN). Send it as an attachment.
    #[error("plaintext is too long")]
    TooLong,
    /// A chain has given all its 2^32 − 1 keys. Start another session from a bundle.
    #[error("chain is exhausted")]
    Exhausted,
}

/// Why a message was not decrypted. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// There is no session at all to try. Ask the sender to start one.
    #[error("no session")]
    NoSession,
    /// The message was decrypted before. Acknowledge it to the transport and drop it.
    #[error("message is a duplicate")]
    Duplicate,
    /// So many messages, or so much time, came after it that its key is deleted. Acknowledge and drop it; the sender
    /// can send its content anew.
    #[error("message is too old")]
    TooOld,
    /// It is further ahead of the newest one than a chain may jump: 25,000 messages, or 2^20 between devices of one
    /// user. Start another session.
    #[error("message is too far ahead")]
    TooFarAhead,
    /// It is not authentic, or not for any session here, or its sender's state is lost. Which of these is not told
    /// apart: the answer would help an attacker. If it goes on, start another session.
    #[error("message cannot be decrypted")]
    Undecryptable,
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
    #[error("prekey {0:?} is unknown")]
    UnknownPrekey(PrekeyId),
    /// It was accepted before, and its session is gone. Somebody replays it: acknowledge and drop it.
    #[error("first message was accepted before")]
    Replayed,
    /// The signed prekey has accepted as many first messages as it may. Publish another one.
    #[error("signed prekey is worn out")]
    PrekeyWornOut,
    /// The identity key in it is not the one this session was made with. Ask the user; to go on, make a new
    /// [`Session`](super::Session) with [`Session::accept`](super::Session::accept).
    #[error("identity key has changed")]
    IdentityChanged,
    /// A key in it is of low order or has a small-order part, or the KEM ciphertext is of another mechanism than the
    /// prekey. Drop it.
    #[error("a key of the first message does not agree")]
    BadKey,
    /// The message inside it cannot be decrypted.
    #[error(transparent)]
    Message(#[from] DecryptError),
}
