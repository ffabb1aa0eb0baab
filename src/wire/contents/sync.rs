use alloc::boxed::Box;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::crypto::Secret;
use crate::ident::{DeviceId, Timestamp, UserId};
use crate::wire::fields::{FieldReader, FieldWriter};
use crate::wire::{MAX_PLAINTEXT_LEN, WireError};

/// Longest value of an entry: a group's welcome.
const MAX_VALUE_LEN: usize = 16_384;
/// Longest subject of an entry that a later version writes, and longest name of a device.
const MAX_NAME_LEN: usize = 255;
/// Longest sealed seed.
const MAX_SEALED_SEED_LEN: usize = 256;

/// How a user stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum ContactState {
    /// Nothing was decided, and nothing came.
    None = 0,
    /// They wrote; nothing is decided.
    Pending = 1,
    /// They may write.
    Accepted = 2,
    /// Nothing of theirs is shown.
    Blocked = 3,
}

/// What one's own devices have in common.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncState {
    /// 1: how one stands to a user.
    Contact(UserId, ContactState),
    /// 2: a group that was joined, and its welcome: 1 to 16,384 bytes.
    Group([u8; 32], Zeroizing<Vec<u8>>),
    /// 3: an access key of the account, by its id.
    AccessKey([u8; 8], Secret<32>),
    /// 4: what a user wrote was read up to here. Without a counter: the later moment wins.
    ReadOfUser(UserId, Timestamp),
    /// 5: the same of a group.
    ReadOfGroup([u8; 32], Timestamp),
    /// 6: the name of a device, at most 255 bytes.
    DeviceName(DeviceId, Box<str>),
    /// 7: what archives are written with.
    Backup {
        /// Which backup.
        id: [u8; 16],
        /// Its key.
        key: Secret<32>,
        /// The account's seed, sealed: at most 256 bytes.
        sealed_seed: Vec<u8>,
    },
    /// What a later version knows: to pass over.
    Later {
        /// Its number, from 8.
        kind: u32,
        /// Of what: at most 255 bytes.
        subject: Vec<u8>,
        /// What: at most 16,384 bytes.
        value: Zeroizing<Vec<u8>>,
    },
}

/// A state, as a device set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncEntry {
    /// The state.
    pub state: SyncState,
    /// How often it was set; 0 for what was read.
    pub counter: u64,
    /// Which device set it.
    pub device: DeviceId,
}

/// Content 25: what one's own devices tell each other. 1 to 256 entries, together at most a message long.
///
/// # Examples
///
/// ```
/// use subrosa::ident::{DeviceId, UserId};
/// use subrosa::wire::{ContactState, SyncPage, SyncEntry, SyncState};
/// let state = SyncState::Contact(UserId::new("bob")?, ContactState::Accepted);
/// let sync = SyncPage::new(vec![SyncEntry { state, counter: 1, device: DeviceId::new(1) }]).unwrap();
/// assert_eq!(SyncPage::parse(&sync.to_bytes())?, sync);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncPage {
    entries: Vec<SyncEntry>,
}

impl SyncPage {
    /// Most entries of one message.
    pub const MAX_ENTRIES: usize = 256;

    /// Puts it together; `None` unless there are 1 to [`Self::MAX_ENTRIES`] entries.
    #[must_use]
    pub fn new(entries: Vec<SyncEntry>) -> Option<Self> {
        (1..=Self::MAX_ENTRIES).contains(&entries.len()).then_some(Self { entries })
    }

    /// Its entries.
    #[must_use]
    pub fn entries(&self) -> &[SyncEntry] {
        &self.entries
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong. An entry of a later version is none of them.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_PLAINTEXT_LEN {
            return Err(WireError::TooLong);
        }
        let (mut fields, mut entries) = (FieldReader::new(bytes), Vec::new());
        while let Some(entry) = fields.message(1)? {
            if entries.len() == Self::MAX_ENTRIES {
                return Err(WireError::TooLong);
            }
            entries.push(SyncEntry::read(entry)?);
        }
        fields.end()?;
        Self::new(entries).ok_or(WireError::Field)
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = FieldWriter::with_capacity(64 * self.entries.len());
        for entry in &self.entries {
            out.message(1, |out| entry.write(out));
        }
        out.finish().into()
    }
}

impl SyncEntry {
    fn read(mut fields: FieldReader<'_>) -> Result<Self, WireError> {
        let kind = fields.some_number(1)?;
        let state = SyncState::read(kind, fields.some_bytes(2)?, fields.some_bytes(3)?).ok_or(WireError::Field)?;
        let (counter, device) = (fields.some_number(4)?, DeviceId::new(fields.some_number(5)?));
        fields.end()?;
        let is_counted = !matches!(state, SyncState::ReadOfUser(..) | SyncState::ReadOfGroup(..));
        if is_counted || counter == 0 { Ok(Self { state, counter, device }) } else { Err(WireError::Field) }
    }

    fn write(&self, out: &mut FieldWriter) {
        let Self { state, counter, device } = self;
        state.write(out);
        out.optional(4, Some(*counter));
        out.optional(5, Some(device.get()));
    }
}

impl SyncState {
    fn read(kind: u32, subject: &[u8], value: &[u8]) -> Option<Self> {
        let user = || UserId::new(core::str::from_utf8(subject).ok()?).ok();
        let moment = || Some(Timestamp::new(u64::from_be_bytes(value.try_into().ok()?)));
        Some(match kind {
            1 => Self::Contact(user()?, ContactState::of(value)?),
            2 if (1..=MAX_VALUE_LEN).contains(&value.len()) => {
                Self::Group(subject.try_into().ok()?, value.to_vec().into())
            }
            3 => Self::AccessKey(subject.try_into().ok()?, Secret::from_slice(value)?),
            4 => Self::ReadOfUser(user()?, moment()?),
            5 => Self::ReadOfGroup(subject.try_into().ok()?, moment()?),
            6 if value.len() <= MAX_NAME_LEN => {
                let device = DeviceId::new(u32::from_be_bytes(subject.try_into().ok()?));
                Self::DeviceName(device, core::str::from_utf8(value).ok()?.into())
            }
            7 if subject.is_empty() => {
                let (id, rest) = value.split_first_chunk()?;
                let (key, sealed_seed) = rest.split_first_chunk()?;
                let sealed_seed = Some(sealed_seed).filter(|seed| seed.len() <= MAX_SEALED_SEED_LEN)?.to_vec();
                Self::Backup { id: *id, key: Secret::new(*key), sealed_seed }
            }
            8.. if subject.len() <= MAX_NAME_LEN && value.len() <= MAX_VALUE_LEN => {
                Self::Later { kind, subject: subject.to_vec(), value: value.to_vec().into() }
            }
            _ => return None,
        })
    }

    fn write(&self, out: &mut FieldWriter) {
        let mut put = |kind: u32, subject: &[u8], value: &[&[u8]]| {
            out.optional(1, Some(kind));
            out.some_bytes(2, subject);
            out.begin_bytes(3, value.iter().map(|part| part.len()).sum());
            value.iter().for_each(|part| out.put(part));
        };
        match self {
            Self::Contact(user, state) => put(1, user.as_str().as_bytes(), &[&[state.number()]]),
            Self::Group(group, welcome) => put(2, group, &[welcome]),
            Self::AccessKey(id, key) => put(3, id, &[key.expose()]),
            Self::ReadOfUser(user, to) => put(4, user.as_str().as_bytes(), &[&to.get().to_be_bytes()]),
            Self::ReadOfGroup(group, to) => put(5, group, &[&to.get().to_be_bytes()]),
            Self::DeviceName(device, name) => put(6, &device.get().to_be_bytes(), &[name.as_bytes()]),
            Self::Backup { id, key, sealed_seed } => put(7, &[], &[id, key.expose(), sealed_seed]),
            Self::Later { kind, subject, value } => put(*kind, subject, &[value]),
        }
    }
}

impl ContactState {
    pub(crate) const fn of(value: &[u8]) -> Option<Self> {
        match value {
            [0] => Some(Self::None),
            [1] => Some(Self::Pending),
            [2] => Some(Self::Accepted),
            [3] => Some(Self::Blocked),
            _ => None,
        }
    }

    #[expect(clippy::as_conversions, reason = "the discriminant of a repr(u8) enum")]
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }
}

impl core::fmt::Debug for SyncState {
    // Whom somebody knows does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Contact(..) => "Contact(..)",
            Self::Group(..) => "Group(..)",
            Self::AccessKey(..) => "AccessKey(..)",
            Self::ReadOfUser(..) => "ReadOfUser(..)",
            Self::ReadOfGroup(..) => "ReadOfGroup(..)",
            Self::DeviceName(..) => "DeviceName(..)",
            Self::Backup { .. } => "Backup(..)",
            Self::Later { .. } => "Later(..)",
        })
    }
}
