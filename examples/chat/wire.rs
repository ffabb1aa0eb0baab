//! What client and relay say to each other: frames with their length in front.
//!
//! A frame is bounded and read strictly. Whoever sends a malformed one is hung up on. Devices have names like `alice.1`: the
//! user, and the device's number.

use std::io::{self, Read, Write};

/// Longest frame: an upload of prekeys for one suite has about 175 kB, at most twice that; every envelope is shorter.
const MAX_FRAME: usize = 512 << 10;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    // From a client.
    /// Which device is calling. It comes first.
    Hello { name: String },
    /// Prekeys for the relay's prekey store.
    Publish { upload: Vec<u8> },
    /// Asks for a device's bundle.
    Fetch { name: String },
    /// A roster for the directory.
    PublishRoster { upload: Vec<u8> },
    /// Asks for a user's roster.
    FetchRoster { name: String },
    /// A message of a link that is under way, for whoever knows the mailbox. Answered by [`Frame::Posted`].
    PutLink { mailbox: String, bytes: Vec<u8> },
    /// Asks for it.
    TakeLink { mailbox: String },
    /// A message. `id` is the sender's own, for [`Frame::Posted`].
    Post { id: u64, to: String, bytes: Vec<u8> },
    /// From now on, deliver.
    Listen,
    /// The message is stored over here: forget it.
    Ack { number: u64 },

    // From the relay.
    /// Answers [`Frame::Hello`]: how many one-time prekeys of each kind are left.
    Welcome { one_time: u64, one_time_kem: u64 },
    /// Answers [`Frame::Publish`]: the relay has the upload of this id.
    Published { id: Vec<u8> },
    /// Answers [`Frame::Fetch`].
    Bundle { found: bool, name: String, bundle: Vec<u8> },
    /// Answers [`Frame::PublishRoster`]: the directory has the roster of this version.
    RosterStored { version: u64 },
    /// Answers [`Frame::FetchRoster`], and a roster that was not taken; comes unasked to devices whose user has a newer one.
    Roster { found: bool, name: String, roster: Vec<u8> },
    /// Answers [`Frame::TakeLink`].
    LinkMail { found: bool, bytes: Vec<u8> },
    /// The relay has the message.
    Posted { id: u64 },
    /// Nobody has it: its user lists that device no more. The roster comes next.
    Outdated { id: u64 },
    /// A message. It comes again after every [`Frame::Listen`], until it is acknowledged.
    Deliver { number: u64, from: String, bytes: Vec<u8> },

    // What any relay could do to its users, on demand.
    /// Set the next `count` messages to this client aside; later ones overtake them.
    Withhold { count: u64, to: String },
    /// Deliver what was set aside, shuffled.
    Release { to: String },
    /// Asks for [`Frame::Status`].
    Ask,
    /// Messages taken so far, and those not acknowledged yet.
    Status { posted: u64, waiting: u64 },
}

impl Frame {
    /// The frame's bytes, without the length: its kind, two numbers, a name with its length, a blob.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, one, two, name, blob): (u8, u64, u64, &str, &[u8]) = match self {
            Self::Hello { name } => (1, 0, 0, name, &[]),
            Self::Publish { upload } => (2, 0, 0, "", upload),
            Self::Fetch { name } => (3, 0, 0, name, &[]),
            Self::Post { id, to, bytes } => (4, *id, 0, to, bytes),
            Self::Listen => (5, 0, 0, "", &[]),
            Self::Ack { number } => (6, *number, 0, "", &[]),
            Self::Welcome { one_time, one_time_kem } => (7, *one_time, *one_time_kem, "", &[]),
            Self::Bundle { found, name, bundle } => (8, (*found).into(), 0, name, bundle),
            Self::Posted { id } => (9, *id, 0, "", &[]),
            Self::Deliver { number, from, bytes } => (10, *number, 0, from, bytes),
            Self::Withhold { count, to } => (11, *count, 0, to, &[]),
            Self::Release { to } => (12, 0, 0, to, &[]),
            Self::Ask => (13, 0, 0, "", &[]),
            Self::Status { posted, waiting } => (14, *posted, *waiting, "", &[]),
            Self::Published { id } => (15, 0, 0, "", id),
            Self::PublishRoster { upload } => (16, 0, 0, "", upload),
            Self::FetchRoster { name } => (17, 0, 0, name, &[]),
            Self::RosterStored { version } => (18, *version, 0, "", &[]),
            Self::Roster { found, name, roster } => (19, (*found).into(), 0, name, roster),
            Self::PutLink { mailbox, bytes } => (20, 0, 0, mailbox, bytes),
            Self::TakeLink { mailbox } => (21, 0, 0, mailbox, &[]),
            Self::LinkMail { found, bytes } => (22, (*found).into(), 0, "", bytes),
            Self::Outdated { id } => (23, *id, 0, "", &[]),
        };
        let name_len = u8::try_from(name.len()).unwrap_or(u8::MAX);
        [&[kind], &one.to_be_bytes()[..], &two.to_be_bytes(), &[name_len], name.as_bytes(), blob].concat()
    }

    /// Reads a frame's bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let (one, rest) = rest.split_first_chunk()?;
        let (two, rest) = rest.split_first_chunk()?;
        let (&name_len, rest) = rest.split_first()?;
        let (name, blob) = rest.split_at_checked(name_len.into())?;
        let (one, two) = (u64::from_be_bytes(*one), u64::from_be_bytes(*two));
        let (name, blob) = (String::from_utf8(name.to_vec()).ok()?, blob.to_vec());
        let frame = match kind {
            1 => Self::Hello { name },
            2 => Self::Publish { upload: blob },
            3 => Self::Fetch { name },
            4 => Self::Post { id: one, to: name, bytes: blob },
            5 => Self::Listen,
            6 => Self::Ack { number: one },
            7 => Self::Welcome { one_time: one, one_time_kem: two },
            8 => Self::Bundle { found: one == 1, name, bundle: blob },
            9 => Self::Posted { id: one },
            10 => Self::Deliver { number: one, from: name, bytes: blob },
            11 => Self::Withhold { count: one, to: name },
            12 => Self::Release { to: name },
            13 => Self::Ask,
            14 => Self::Status { posted: one, waiting: two },
            15 => Self::Published { id: blob },
            16 => Self::PublishRoster { upload: blob },
            17 => Self::FetchRoster { name },
            18 => Self::RosterStored { version: one },
            19 => Self::Roster { found: one == 1, name, roster: blob },
            20 => Self::PutLink { mailbox: name, bytes: blob },
            21 => Self::TakeLink { mailbox: name },
            22 => Self::LinkMail { found: one == 1, bytes: blob },
            23 => Self::Outdated { id: one },
            _ => return None,
        };
        // What a kind has no use for must be empty: each frame has one encoding.
        (frame.encode() == bytes).then_some(frame)
    }

    /// Sends the frame.
    pub(crate) fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let body = self.encode();
        let len = u32::try_from(body.len()).map_err(io::Error::other)?;
        to.write_all(&[&len.to_be_bytes(), body.as_slice()].concat())
    }

    /// Waits for a frame.
    pub(crate) fn receive(from: &mut impl Read) -> io::Result<Self> {
        let mut len = [0; 4];
        from.read_exact(&mut len)?;
        let len = u32::from_be_bytes(len) as usize;
        if len > MAX_FRAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // The buffer grows with what arrives, not with what was announced.
        let mut body = Vec::new();
        from.take(len as u64).read_to_end(&mut body)?;
        Self::decode(&body).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
