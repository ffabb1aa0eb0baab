/// The newest schema version that this build writes and reads.
pub(crate) const SCHEMA: u16 = 1;

/// What a stored record holds: its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum RecordKind {
    /// A device's identity key and numbers.
    Device = 1,
    /// A signed prekey.
    SignedPrekey = 2,
    /// A one-time X25519 prekey.
    OneTimePrekey = 3,
    /// A KEM prekey, one-time or last-resort.
    KemPrekey = 4,
    /// Everything shared with one peer device.
    Session = 5,
    /// What a device publishes for one session.
    Bundle = 6,
    /// Base keys of the first messages that a signed prekey has accepted.
    SeenBaseKeys = 7,
    /// What a device brings to its server of prekeys.
    PrekeyUpload = 8,
    /// The newest roster that is held of a user.
    HeldRoster = 9,
    /// What a new device shows to be linked.
    LinkOffer = 10,
    /// A link that the primary has answered.
    PendingLink = 11,
    /// What opens all other records of a client.
    Vault = 16,
    /// What changes with every message to or from one peer device.
    Peer = 17,
    /// The list of the skipped message keys of one session, in pages.
    SkippedKeys = 18,
    /// One archived session.
    Archived = 19,
    /// Which sessions with one peer device are archived.
    Archive = 20,
    /// A session under an identity key that is not trusted yet: the user has not accepted it.
    UntrustedSession = 21,
    /// A part of what was sent to one peer device.
    Sent = 22,
    /// A part of the index of peer devices.
    PeerPage = 23,
    /// Which prekeys there are.
    Prekeys = 24,
    /// What waits between one peer device and here.
    Wishes = 25,
    /// The chains of framed messages of one conversation.
    Framing = 26,
    /// Some of the skipped message keys of one session.
    SkippedPage = 27,
    /// By which time what is old is deleted.
    Clock = 29,
    /// The identity key that one peer device is known by, also when all else of it is forgotten.
    Pin = 28,
    /// A part of the index of devices that something waits with.
    WishPage = 30,
    /// Which parts of that index there are.
    WishIndex = 31,
    /// Which segments the log of what was sent to one device has.
    SentIndex = 32,
    /// One's own rosters.
    Account = 33,
    /// The account's private key, on the primary.
    AccountSecret = 34,
    /// What is known of one user.
    User = 35,
    /// A file on its way out: its key, and the hashes of the chunks that may have left.
    Upload = 40,
    /// What one device knows of the chains of one conversation.
    ChainState = 50,
    /// What proves one framed message.
    Evidence = 51,
    /// A platform's stamp keys.
    StampKeys = 52,
    /// A platform's key for opening reports.
    ModerationKey = 53,
    /// A server's prekey store of one device's prekeys.
    PrekeyStore = 54,
}

impl RecordKind {
    /// The first byte of such a record.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the discriminant of a repr(u8) enum")]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Why bytes are not a record of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes are damaged, or a record of another kind. Restore it from where it is whole, or start the session
    /// anew; do not go on with an older copy.
    #[error("record is corrupt")]
    Corrupt,
    /// The whole store went back in time and was opened anew by another process since this client was opened. Open the
    /// client again; nothing is damaged.
    #[error("record is of a later opening of the store")]
    OtherGeneration,
    /// A newer version of this library wrote the record. Update; do not overwrite it.
    #[error("record has the newer schema version {0}")]
    Newer(u16),
}

/// What stands behind the header.
pub(super) fn body(kind: RecordKind, bytes: &[u8]) -> Result<&[u8], RecordError> {
    let ([kind_byte, high, low], body) = bytes.split_first_chunk::<3>().ok_or(RecordError::Corrupt)?;
    if *kind_byte != kind.number() {
        return Err(RecordError::Corrupt);
    }
    match u16::from_be_bytes([*high, *low]) {
        0 => Err(RecordError::Corrupt),
        SCHEMA => Ok(body),
        newer => Err(RecordError::Newer(newer)),
    }
}
