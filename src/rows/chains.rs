//! What is kept of framed messages: the chains of one conversation in a row of the user's, and in each of the user's devices'
//! rows a mark of it.
//!
//! Rows can be put back one at a time, by whoever can write the database, and each of them is authentic. A chain of one's own
//! that goes on from an older row tells two stories, and a report would blame its honest owner. So each device has a device chain in
//! the row, with a chain of one's own for what is sent to it; and whatever is framed to or from the device writes both rows
//! and draws a [`Mark`] that both get. If they differ when they are read, one of them is older: the device chain starts another chain,
//! and the host is told. What is known of others' chains stays: an honest owner's are true however old the row is, and what
//! it has forgotten is a gap, which blames nobody.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::core::Core;
use super::mark::Mark;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::{Address, DeviceId, UserId};
use crate::persist::RecordKey;
use crate::report::{self, AccountTag, ChainState, Destination, Evidence, OwnChain, OwnStampError, Stamp};
use crate::rows::Peer;
use crate::staging::{Stop, StoredError, Workspace, stored, unless_damaged};
use crate::wire::{FieldReader, FieldWriter, Record, RecordError, RecordKind};

type Halt = Stop<StoredError>;

/// Most devices of one user for which chains of one's own are kept; those used last.
const MAX_DEVICE_CHAINS: usize = 32;

/// A row that was read is older than one that was written together with it: somebody put it back, or one of the two was lost.
///
/// Nothing is wrong with the message beside which it is told, and nobody is accused. This device starts another chain of
/// framed messages, so that no two messages of it stand at one place. Whoever can write the database can do worse: find out
/// who did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OldRow {
    /// Which kind of row is the older one, or is gone.
    pub kind: RecordKind,
}

/// What belongs to one device of the user.
struct DeviceChain {
    mark: Mark,
    /// If something was sent to it.
    own: Option<OwnChain>,
}

/// Whether what is shown in a conversation is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Setting {
    /// Nobody said so: it is if framed messages were exchanged.
    #[default]
    Unset,
    Framed,
    Unframed,
}

/// A Framing row.
struct Row {
    setting: Setting,
    state: ChainState,
    device_chains: BTreeMap<u32, DeviceChain>,
}

/// The chains of a conversation, on the device chain of one device.
pub(crate) struct Chains {
    pub(crate) state: ChainState,
    pub(crate) old: Option<OldRow>,
    setting: Setting,
    device: u32,
    /// Those of the other devices.
    device_chains: BTreeMap<u32, DeviceChain>,
    /// The greatest count that was seen.
    count: u64,
}

impl Core {
    pub(crate) fn chains_key(&self, user: &UserId) -> RecordKey {
        self.keys.record_key(RecordKind::Framing, &[user.as_str().as_bytes()])
    }

    fn load_row(&self, work: &mut Workspace<'_>, user: &UserId) -> Result<Row, Halt> {
        let (me, dest) = (AccountTag::of(self.address.user()), Destination::Direct(AccountTag::of(user)));
        let state = ChainState::new(me, dest, &mut work.public);
        match work.read(&self.keys, RecordKind::Framing, self.chains_key(user))? {
            None => Ok(Row { setting: Setting::Unset, state, device_chains: BTreeMap::new() }),
            Some(bytes) => Ok(Row::from_bytes(state, bytes, self.generation).map_err(stored(RecordKind::Framing))?),
        }
    }

    fn save_row(&self, work: &mut Workspace<'_>, user: &UserId, row: &Row) {
        work.put(&self.keys, self.chains_key(user), row.to_record(self.generation));
    }

    /// What is known of the chains of the conversation with a device's user.
    pub(crate) fn load_chains(&self, work: &mut Workspace<'_>, peer: &Peer) -> Result<Chains, Halt> {
        let (user, device) = (peer.address.user(), peer.address.device().get());
        let Row { setting, mut state, mut device_chains } = self.load_row(work, user)?;
        // Of so many that the one whose mark the device has may have gone for want of room.
        let is_full = device_chains.len() >= MAX_DEVICE_CHAINS;
        let device_chain = device_chains.remove(&device);
        let (here, there) = (peer.framing, device_chain.as_ref().map(|device_chain| device_chain.mark));
        let old = (here != there && !(there.is_none() && is_full)).then(|| {
            let is_behind = here.map(|mark| mark.count) < there.map(|mark| mark.count);
            OldRow { kind: if is_behind { RecordKind::Peer } else { RecordKind::Framing } }
        });
        #[cfg(test)]
        let old = old.filter(|_| !planted::is(Defect::MarksAlike));
        let goes_on = old.is_none();
        #[cfg(test)]
        let goes_on = goes_on || planted::is(Defect::OldChains);
        if let Some(own) = device_chain.and_then(|device_chain| device_chain.own).filter(|_| goes_on) {
            state.exchange(own);
        }
        let counts = device_chains
            .values()
            .map(|device_chain| device_chain.mark.count)
            .chain([here, there].into_iter().flatten().map(count));
        Ok(Chains { count: counts.max().unwrap_or(0), state, old, setting, device, device_chains })
    }

    /// Writes the chains; the device's row, which is to be written as well, gets their mark.
    pub(crate) fn save_chains(&self, work: &mut Workspace<'_>, peer: &mut Peer, chains: Chains) {
        let Chains { mut state, old: _, setting, device, mut device_chains, count } = chains;
        let mark = Mark::after(count, &mut work.public);
        let own = state.exchange(OwnChain::random(&mut work.public));
        device_chains.insert(device, DeviceChain { mark, own: Some(own).filter(|own| !own.is_unused()) });
        while device_chains.len() > MAX_DEVICE_CHAINS {
            let idle =
                device_chains.iter().min_by_key(|(_, device_chain)| device_chain.mark.count).map(|(device, _)| *device);
            device_chains.remove(&idle.unwrap_or_default());
        }
        peer.framing = Some(mark);
        self.save_row(work, peer.address.user(), &Row { setting, state, device_chains });
    }

    /// Whether what is shown in the conversation with a device's user is framed.
    pub(crate) fn is_framed(&self, work: &mut Workspace<'_>, peer: &Peer) -> Result<bool, Halt> {
        let row = self.load_row(work, peer.address.user())?;
        Ok(match row.setting {
            Setting::Framed => true,
            Setting::Unframed => false,
            // The row is gone, or from before: it does not take the frames away.
            Setting::Unset => peer.framing.is_some(),
        })
    }

    /// Whether it was said that it is, or is not; or came to be said by a framed message.
    pub(crate) fn framing(&self, work: &mut Workspace<'_>, user: &UserId) -> Result<Option<bool>, Halt> {
        Ok(match self.load_row(work, user)?.setting {
            Setting::Framed => Some(true),
            Setting::Unframed => Some(false),
            Setting::Unset => None,
        })
    }

    pub(crate) fn set_framed(&self, work: &mut Workspace<'_>, user: &UserId, framed: bool) -> Result<(), Halt> {
        let mut row = self.load_row(work, user)?;
        let setting = if framed { Setting::Framed } else { Setting::Unframed };
        if row.setting != setting {
            row.setting = setting;
            self.save_row(work, user, &row);
        }
        Ok(())
    }

    /// A message of one's own was stamped.
    pub(crate) fn stamp_own(
        &self,
        work: &mut Workspace<'_>,
        user: &UserId,
        evidence: &Evidence,
        stamp: &[u8],
    ) -> Result<Result<Evidence, OwnStampError>, Halt> {
        let mut row = self.load_row(work, user)?;
        let Ok(stamp) = Stamp::parse(stamp) else { return Ok(Err(OwnStampError::Malformed)) };
        let mut stamped = evidence.clone();
        if let Err(error) = stamped.attach(&stamp) {
            return Ok(Err(error.into()));
        }
        let mut own = row.device_chains.values_mut().filter_map(|device_chain| device_chain.own.as_mut());
        if own.any(|own| own.stamped(evidence, &stamp)) {
            self.save_row(work, user, &row);
        }
        Ok(Ok(stamped))
    }

    /// Lets go of what is kept of a device that is forgotten; of the whole row, if no known device shares it or it does not
    /// open.
    pub(crate) fn forget_chains(&self, work: &mut Workspace<'_>, address: &Address) -> Result<(), Halt> {
        let (user, key) = (address.user(), self.chains_key(address.user()));
        if work.row::<StoredError>(key)?.is_none() {
            return Ok(());
        }
        let Some(mut row) = unless_damaged(self.load_row(work, user))? else {
            work.delete(key);
            return Ok(());
        };
        row.device_chains.remove(&address.device().get());
        let others = row.device_chains.keys().map(|device| Address::new(user.clone(), DeviceId::new(*device)));
        let others: Vec<_> = others.map(|other| self.peer_key(RecordKind::Peer, &other)).collect();
        work.announce(others.iter().copied());
        work.ready()?;
        let mut shared = false;
        for other in others {
            shared |= work.row::<StoredError>(other)?.is_some();
        }
        if shared {
            row.state.forget_device(&report::AccountDevice::of(address));
            self.save_row(work, user, &row);
        } else {
            work.delete(key);
        }
        Ok(())
    }
}

const fn count(mark: Mark) -> u64 {
    mark.count
}

impl Chains {
    /// A framed message was sent: from now on the conversation is framed.
    pub(crate) const fn sent(&mut self) {
        self.setting = Setting::Framed;
    }

    /// One was received: it is, unless the host has said otherwise.
    pub(crate) fn received(&mut self) {
        if self.setting == Setting::Unset {
            self.setting = Setting::Framed;
        }
    }
}

impl Row {
    fn to_record(&self, generation: u64) -> Record {
        let Self { setting, state, device_chains } = self;
        let mut out = FieldWriter::row(RecordKind::Framing, 1024);
        out.number(1, generation);
        out.number(
            2,
            match setting {
                Setting::Unset => 0u8,
                Setting::Framed => 1,
                Setting::Unframed => 2,
            },
        );
        out.message(3, |out| state.write_others(out));
        for (device, DeviceChain { mark, own }) in device_chains {
            out.message(4, |out| {
                out.number(1, *device);
                out.bytes(2, &mark.to_bytes());
                if let Some(own) = own {
                    out.message(3, |out| own.write(out));
                }
            });
        }
        out.into_record()
    }

    /// What is stored, in the place of a state that knows nothing.
    fn from_bytes(state: ChainState, bytes: &[u8], now: u64) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::Framing, bytes)?;
        let (generation, setting) = (fields.number(1)?, fields.number(2)?);
        let setting = match setting {
            0 => Setting::Unset,
            1 => Setting::Framed,
            2 => Setting::Unframed,
            _ => return Err(RecordError::Corrupt),
        };
        let state = state.with_others(fields.some_message(3)?)?;
        let mut device_chains: BTreeMap<u32, DeviceChain> = BTreeMap::new();
        while let Some((field, bytes)) = fields.next_bytes()? {
            let mut fields = FieldReader::new(bytes);
            let (device, mark) = (fields.small(1)?, Mark::from_bytes(fields.bytes(2)?)?);
            let own = fields.message(3)?.map(OwnChain::read).transpose()?;
            fields.end()?;
            let ascending = device_chains.last_key_value().is_none_or(|(last, _)| *last < device);
            if field != 4 || !ascending || device_chains.len() >= MAX_DEVICE_CHAINS {
                return Err(RecordError::Corrupt);
            }
            // After the store went back in time it is not known what was sent since: going on would tell two stories.
            let goes_on = generation == now;
            #[cfg(test)]
            let goes_on = goes_on || planted::is(Defect::RestoredChains);
            device_chains.insert(device, DeviceChain { mark, own: own.filter(|_| goes_on) });
        }
        Ok(Self { setting, state, device_chains })
    }
}
