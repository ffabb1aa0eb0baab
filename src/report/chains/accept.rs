use alloc::boxed::Box;
use alloc::vec::Vec;

use super::recent::{Missing, Recent};
use super::state::{ChainKey, DAY_MS, PeerChain};
use crate::crypto::constant_time_eq;
use crate::ident::Timestamp;
use crate::report::commit::FramingKey;
use crate::report::policy::MissingStamp;
use crate::report::{
    AccountDevice, ChainState, ChainTag, Commitment, Evidence, FrameHeader, FrameHeaderError, FramingPolicy, Part,
    PartKind, PartsError, Seen, Stamp, StampFormatError, StampMismatch, part,
};
use crate::wire::{Framed, WireError};

/// New chains of one device in one day after which the order of further ones proves nothing.
const CHAINS_PER_DAY: usize = 4;

/// A framed message that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptedFrame {
    /// What it says.
    pub parts: Vec<Part>,
    /// What proves it. Store both in the transaction that stores the state.
    pub evidence: Evidence,
    /// Where it stands in its chain.
    pub status: ChainStatus,
    /// Whether the order of its chain proves anything: its device did not start more than four chains that day.
    pub order_verifiable: bool,
    /// Whether it claims to be one that can be reported.
    pub stamp: StampStatus,
    /// Chains that it follows, or says to follow, whose message has a later stamp: the platform's clock went backwards,
    /// or that message was stamped late. For the application to know, or to log.
    pub stamped_before: Vec<ChainTag>,
}

/// Where an accepted message stands in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainStatus {
    /// It follows the newest one.
    Next,
    /// So many messages between the newest one and it have not come.
    Gap {
        /// How many.
        missing: u64,
    },
    /// It is one that had not come.
    Late,
    /// It was accepted before: there is nothing to show.
    Duplicate,
}

/// Whether an accepted message claims to have the platform's stamp. Only the platform can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StampStatus {
    /// It claims to: what came with it is a stamp's form, and names its sender and destination. Whether the platform made it,
    /// a report shows. Another one that comes later is kept as well ([`Evidence::attach`]).
    Stamped,
    /// It came without a stamp, and cannot be.
    Missing,
    /// What came as a stamp is none; it cannot be.
    Garbled,
}

/// Why a framed message is not shown. Nothing was changed.
///
/// # Security
///
/// The session that decrypted it must not be changed either: drop the decryption and acknowledge nothing for
/// [`StampContext`](Self::StampContext), since the genuine copy of the same ciphertext may still come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Not framed content as its author would have written it. Drop it.
    #[error("framed content is malformed")]
    Malformed,
    /// Longer than framed content may be. Drop it.
    #[error("framed content is too long")]
    TooLong,
    /// Of a sealed sender, which this version does not read. Tell the user to update.
    #[error("sealed senders are not supported")]
    SealedMode,
    /// The parts make no message. Drop it.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// Its author committed to something else than it says, or to another sender or destination. Drop it; it could
    /// not be reported.
    #[error("content does not match its commitment")]
    Commitment,
    /// Its sender has no place in this conversation. Drop it.
    #[error("sender is not of this conversation")]
    NotInConversation,
    /// There is no stamp, and the policy asks for one. Ask for it, or drop the message.
    #[error("stamp is missing")]
    MissingStamp,
    /// What came as a stamp is none, and the policy asks for one. Ask for it, or drop the message.
    #[error("stamp is malformed")]
    GarbledStamp,
    /// The stamp names another sender or destination: somebody submitted this ciphertext from another account, or the
    /// platform lies. Drop this copy; the genuine one can still be accepted.
    #[error("stamp contradicts the message")]
    StampContext,
    /// It says to have seen a message of this device that this device never sent. Drop it.
    #[error("names a message that was never sent")]
    FalseSeen,
    /// Another message stands at its place, or it denies what it follows: its author tells two stories, or went on with
    /// an older state. Do not show it; keep it to be reported with the other one.
    #[error("contradicts an earlier message of its chain")]
    Fork(Box<ForkedFrame>),
    /// So old that its place cannot be checked any more. Drop it; nobody is to blame.
    #[error("message is too old")]
    TooOld,
}

/// A message that contradicts an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForkedFrame {
    /// What it says.
    pub parts: Vec<Part>,
    /// What proves it.
    pub evidence: Evidence,
    /// The message that was accepted at its place, or named as standing there, where that is known.
    pub other: Option<Commitment>,
}

impl From<FrameHeaderError> for FrameError {
    fn from(error: FrameHeaderError) -> Self {
        match error {
            FrameHeaderError::SealedMode => Self::SealedMode,
            FrameHeaderError::Malformed => Self::Malformed,
        }
    }
}

/// Where a message belongs.
enum Place {
    At(ChainStatus),
    Fork(Option<Commitment>),
    TooOld,
}

impl ChainState {
    /// Accepts a framed message that a session has decrypted, bound to `commitment`.
    ///
    /// `peer` is whom the session authenticated; for a group message, the owner of the sender key. `stamp` is what
    /// stands on the envelope. What is accepted with a stamp, the platform verifies.
    ///
    /// # Errors
    ///
    /// [`FrameError`]; nothing was changed, and nothing is to be shown.
    ///
    /// # Examples
    ///
    /// See [`ChainState`].
    pub fn accept(
        &mut self,
        peer: &AccountDevice,
        inner: &[u8],
        commitment: &Commitment,
        stamp: Option<&[u8]>,
        now: Timestamp,
        policy: &FramingPolicy,
    ) -> Result<AcceptedFrame, FrameError> {
        let framed = Framed::parse(inner).map_err(sealed_or_malformed)?;
        if framed.sealed {
            return Err(FrameError::SealedMode);
        }
        let dest = self.dest_of(peer).ok_or(FrameError::NotInConversation)?;
        let header = FrameHeader::from_wire(&framed.header, &peer.account, &dest)?;
        let parts: Vec<Part> =
            framed.parts.into_iter().map(|(kind, body)| Part::new(PartKind::new(kind), body)).collect();
        if parts.len() != usize::from(header.parts()) {
            return Err(FrameError::Malformed);
        }
        part::check(&parts)?;
        let mut evidence = Evidence::new(header, FramingKey(framed.framing_key), &parts);
        if !constant_time_eq(evidence.commitment().as_bytes(), commitment.as_bytes()) {
            return Err(FrameError::Commitment);
        }
        let status = take_stamp(&mut evidence, stamp, policy)?;
        if !evidence.header().seen().iter().all(|seen| self.is_possible(seen)) {
            return Err(FrameError::FalseSeen);
        }
        let header = evidence.header();
        let key = (*header.sender(), *header.chain());
        // One's own chain is written by this device alone.
        let at = if key == (self.me, self.own.chain) {
            self.own_place(header.seq(), commitment)
        } else {
            self.place(&key, header, commitment)
        };
        let at = match at {
            Place::At(at) => at,
            Place::TooOld => return Err(FrameError::TooOld),
            Place::Fork(other) => return Err(FrameError::Fork(Box::new(ForkedFrame { parts, evidence, other }))),
        };
        let time = evidence.stamp().map_or(0, |stamp| stamp.context.time.get());
        let stamped_before = self.stamped_before(&key, header, time, policy.stamp_tolerance_ms);
        let order_verifiable = if at == ChainStatus::Duplicate {
            self.chains.get(&key).is_none_or(|chain| !chain.unverifiable)
        } else {
            self.advance(key, peer.device, header, (*commitment, time), now)
        };
        Ok(AcceptedFrame { parts, evidence, status: at, order_verifiable, stamp: status, stamped_before })
    }

    /// Whether the message may have been seen. Of other people's chains everything may; of one's own, what was sent.
    fn is_possible(&self, seen: &Seen) -> bool {
        if seen.chain != ChainTag::of(&self.me, &self.own.chain) {
            return true;
        }
        match self.own.recent.get(seen.seq) {
            Some((commitment, _)) => *commitment == seen.commitment,
            // What is no longer kept was sent some time.
            None => seen.seq < self.own.next,
        }
    }

    /// A message in one's own chain: an echo of what this device sent, or another's work under its name.
    fn own_place(&self, seq: u64, commitment: &Commitment) -> Place {
        match self.own.recent.get(seq) {
            Some((known, _)) if known == commitment => Place::At(ChainStatus::Duplicate),
            Some((known, _)) => Place::Fork(Some(*known)),
            None if seq < self.own.next => Place::TooOld,
            None => Place::Fork(None),
        }
    }

    fn place(&self, key: &ChainKey, header: &FrameHeader, commitment: &Commitment) -> Place {
        let seq = header.seq();
        let Some(chain) = self.chains.get(key) else {
            return Place::At(if seq == 0 { ChainStatus::Next } else { ChainStatus::Gap { missing: seq } });
        };
        if let Some((known, _)) = chain.recent.get(seq) {
            return if known == commitment { Place::At(ChainStatus::Duplicate) } else { Place::Fork(Some(*known)) };
        }
        let before = seq.checked_sub(1);
        let known_before = before.and_then(|before| chain.recent.get(before)).map(|(commitment, _)| *commitment);
        // What it follows is known, and it says to follow something else.
        let denies = known_before.is_some() && known_before != header.prev();
        let newest = chain.recent.newest().map_or(0, |(newest, _)| newest);
        if seq > newest {
            return match seq - newest - 1 {
                0 if denies => Place::Fork(known_before),
                0 => Place::At(ChainStatus::Next),
                missing => Place::At(ChainStatus::Gap { missing }),
            };
        }
        match chain.missing.find(seq) {
            None => Place::TooOld,
            Some(Some(named)) if named != *commitment => Place::Fork(Some(named)),
            Some(_) if denies => Place::Fork(known_before),
            Some(_) => Place::At(ChainStatus::Late),
        }
    }

    /// Puts an accepted message at its place; gives whether its chain's order proves anything.
    fn advance(
        &mut self,
        key: ChainKey,
        device: u32,
        header: &FrameHeader,
        kept: (Commitment, u64),
        now: Timestamp,
    ) -> bool {
        self.clock = self.clock.saturating_add(1);
        let seq = header.seq();
        let recent_chains = self
            .chains
            .iter()
            .filter(|((owner, _), chain)| *owner == key.0 && chain.device == device && now.since(chain.first) < DAY_MS);
        let unverifiable = recent_chains.count() >= CHAINS_PER_DAY;
        let clock = self.clock;
        let chain = self.chains.entry(key).or_insert_with(|| PeerChain {
            device,
            first: now,
            used: clock,
            unverifiable,
            recent: Recent::default(),
            missing: Missing::default(),
        });
        let next = chain.recent.newest().map_or(Some(0), |(newest, _)| newest.checked_add(1));
        let is_head = next.is_some_and(|next| seq >= next);
        if let (true, Some(next)) = (is_head, next) {
            if let Some(last) = seq.checked_sub(1) {
                chain.missing.add(next, last, header.prev());
            }
        } else {
            chain.missing.fill(seq, header.prev());
        }
        chain.recent.insert(seq, kept);
        chain.used = clock;
        let verifiable = !chain.unverifiable;
        self.keep_bounds(&key, is_head, now);
        verifiable
    }

    /// Chains whose message, followed or said to be followed, was stamped after this one.
    fn stamped_before(&self, key: &ChainKey, header: &FrameHeader, time: u64, tolerance: u64) -> Vec<ChainTag> {
        if time == 0 {
            return Vec::new();
        }
        let later = |kept: Option<&(Commitment, u64)>, commitment: Option<&Commitment>| {
            kept.is_some_and(|(known, at)| commitment == Some(known) && *at > time.saturating_add(tolerance))
        };
        let before = header.seq().checked_sub(1);
        let prev = before.and_then(|before| self.chains.get(key)?.recent.get(before));
        let mut found = Vec::new();
        if later(prev, header.prev().as_ref()) {
            found.push(header.chain_tag());
        }
        if header.seen().is_empty() {
            return found;
        }
        let own = core::iter::once((ChainTag::of(&self.me, &self.own.chain), &self.own.recent));
        let others = self.chains.iter().map(|(key, chain)| (ChainTag::of(&key.0, &key.1), &chain.recent));
        for (tag, recent) in own.chain(others) {
            let seen = header.seen().iter().find(|seen| seen.chain == tag);
            if seen.is_some_and(|seen| later(recent.get(seen.seq), Some(&seen.commitment))) {
                found.push(tag);
            }
        }
        found
    }
}

/// Checks what came as a stamp and puts it to the evidence.
fn take_stamp(
    evidence: &mut Evidence,
    stamp: Option<&[u8]>,
    policy: &FramingPolicy,
) -> Result<StampStatus, FrameError> {
    let require = policy.missing_stamp == MissingStamp::Require;
    match stamp.map(Stamp::parse) {
        None if require => Err(FrameError::MissingStamp),
        None => Ok(StampStatus::Missing),
        Some(Err(StampFormatError::SealedMode)) => Err(FrameError::SealedMode),
        Some(Err(_)) if require => Err(FrameError::GarbledStamp),
        Some(Err(_)) => Ok(StampStatus::Garbled),
        Some(Ok(stamp)) => {
            evidence.attach(&stamp).map_err(|StampMismatch| FrameError::StampContext)?;
            Ok(StampStatus::Stamped)
        }
    }
}

/// What does not parse is refused alike.
const fn sealed_or_malformed(error: WireError) -> FrameError {
    match error {
        WireError::TooLong => FrameError::TooLong,
        _ => FrameError::Malformed,
    }
}
