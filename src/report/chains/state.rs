use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::recent::{Missing, Recent};
use crate::ident::Timestamp;
use crate::report::commit::FramingKey;
use crate::report::header::MAX_SEEN;
use crate::report::{
    AccountDevice, AccountTag, ChainId, ChainTag, Destination, Evidence, FrameHeader, Part, PartsError, Seen, Stamp,
    StampMismatch, part,
};
use crate::wire::Framed;

/// What is remembered of one conversation at most.
pub(super) struct Bounds {
    /// Chains of other devices.
    pub(super) chains: usize,
    /// Commitments of all of them.
    pub(super) recent: usize,
    /// Ranges of missing messages of all of them.
    pub(super) ranges: usize,
}

/// Of two: all of it is written with every message.
const DIRECT: Bounds = Bounds { chains: 32, recent: 64, ranges: 512 };

const GROUP: Bounds = Bounds { chains: 1024, recent: 4096, ranges: 2048 };

/// A chain of a conversation of two in which nothing came while so many messages came in others is let go of, unless it is
/// of today: then it counts among those that its device started. What comes of it later begins it anew, with a gap, which
/// blames nobody. By a count and not by a clock, which may be wrong for an hour.
const IDLE: u64 = 256;

pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A chain: whose, and which. A chain id alone is anyone's to use.
pub(super) type ChainKey = (AccountTag, ChainId);

/// What one device knows of one conversation's order: its own chain, and everyone else's.
///
/// One for each (own device, conversation). Store it with [`Self::to_bytes`]; store the advanced state **before** the
/// message that advanced it is sent.
///
/// # Security
///
/// Never go on with an older copy: two messages at one place of a chain look like a lie to everyone who sees both.
/// After a restore from a backup, or for a cloned device, call [`Self::renew`] or start with [`Self::new`].
///
/// # Examples
///
/// ```
/// use subrosa::{ident::*, platform::{StampKeys, stamp}, report::*};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let (alice, bob) = (AccountTag::of(&UserId::new("alice")?), AccountTag::of(&UserId::new("bob")?));
/// let mut hers = ChainState::new(alice, Destination::Direct(bob), &mut rng);
/// let mut his = ChainState::new(bob, Destination::Direct(alice), &mut rng);
/// let now = Timestamp::new(1_800_000_000_000);
/// // Alice frames a message; the platform stamps the commitment, and sees nothing else.
/// let sent = hers.seal(&[Part::text("hello")], now, &mut rng)?;
/// let mut keys = StampKeys::default();
/// keys.generate(1, &mut rng)?;
/// let context = StampContext { sender: alice, dest: Destination::Direct(bob), time: now, conv_seq: 0 };
/// let stamp = stamp(&keys, 1, sent.evidence.commitment(), &context)?.to_bytes();
/// // Bob reads it, and keeps the evidence beside it.
/// let phone = AccountDevice { account: alice, device: 1 };
/// let read = his.accept(&phone, &sent.inner, sent.evidence.commitment(), Some(&stamp), now, &FramingPolicy::default())?;
/// assert_eq!(read.parts, [Part::text("hello")]);
/// assert_eq!(read.status, ChainStatus::Next);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainState {
    pub(super) me: AccountTag,
    pub(super) dest: Destination,
    pub(super) own: OwnChain,
    /// Chains whose newest message no message of one's own has named yet, in the order in which they came.
    pub(super) unnamed: VecDeque<ChainKey>,
    pub(super) chains: BTreeMap<ChainKey, PeerChain>,
    /// Counts what was accepted: says which chain was used last.
    pub(super) clock: u64,
}

/// A chain of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnChain {
    pub(super) chain: ChainId,
    pub(super) next: u64,
    pub(super) recent: Recent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PeerChain {
    pub(super) device: u32,
    pub(super) first: Timestamp,
    pub(super) used: u64,
    /// Its device started too many chains that day.
    pub(super) unverifiable: bool,
    pub(super) recent: Recent,
    pub(super) missing: Missing,
}

/// A framed message to be encrypted and sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SealedFrame {
    /// The framed content, to be put into the payload. Encrypt it bound to
    /// [`Commitment::external_ad`](crate::report::Commitment::external_ad) of [`Evidence::commitment`], which goes on the
    /// envelope.
    ///
    /// # Security
    ///
    /// It holds the message in clear, and the key to its commitment.
    pub inner: Vec<u8>,
    /// One's own evidence, without a stamp: give it to [`ChainState::own_stamp`] when the platform's stamp comes.
    pub evidence: Evidence,
}

/// Why no message was framed. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameSealError {
    /// The parts make no message.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// The chain has given all its numbers. [Renew](ChainState::renew) it.
    #[error("chain is exhausted")]
    Exhausted,
}

impl ChainState {
    /// Starts a chain of one's own in a conversation. Draws 16 bytes.
    ///
    /// `dest` is to whom one's own messages go: the peer's account, or the group.
    #[must_use]
    pub fn new(me: AccountTag, dest: Destination, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::start(me, dest, OwnChain::random(rng))
    }

    pub(super) const fn start(me: AccountTag, dest: Destination, own: OwnChain) -> Self {
        Self { me, dest, own, unnamed: VecDeque::new(), chains: BTreeMap::new(), clock: 0 }
    }

    /// Starts another chain of one's own, and keeps what is known of the others'. For after a restore. Draws 16 bytes.
    pub fn renew(&mut self, rng: &mut (impl CryptoRng + ?Sized)) {
        self.own = OwnChain::random(rng);
    }

    /// Whose state it is.
    #[must_use]
    pub const fn me(&self) -> &AccountTag {
        &self.me
    }

    /// To whom one's own messages go.
    #[must_use]
    pub const fn dest(&self) -> &Destination {
        &self.dest
    }

    /// The chain of one's own.
    #[must_use]
    pub const fn chain(&self) -> &ChainId {
        &self.own.chain
    }

    /// How many messages were framed in it.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.own.next
    }

    /// How many chains of other devices are remembered.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.chains.len()
    }

    /// Frames a message. Draws 32 bytes.
    ///
    /// A retry sends the same bytes again; a message framed anew is another message.
    ///
    /// # Errors
    ///
    /// [`FrameSealError`]; nothing was changed.
    pub fn seal(
        &mut self,
        parts: &[Part],
        sent: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<SealedFrame, FrameSealError> {
        part::check(parts)?;
        let count = u16::try_from(parts.len()).map_err(|_| PartsError::Count)?;
        let next = self.own.next.checked_add(1).ok_or(FrameSealError::Exhausted)?;
        let named: Vec<ChainKey> = self.unnamed.iter().take(MAX_SEEN).copied().collect();
        let seen = named.iter().filter_map(|key| {
            let (seq, (commitment, _)) = self.chains.get(key)?.recent.newest()?;
            Some(Seen { chain: ChainTag::of(&key.0, &key.1), seq, commitment: *commitment })
        });
        let prev = self.own.recent.newest().map(|(_, (commitment, _))| *commitment);
        let header =
            FrameHeader::new((self.me, self.dest), self.own.chain, (self.own.next, prev), sent, seen.collect(), count);
        let key = FramingKey::random(rng);
        let wire = parts.iter().map(|part| (part.kind().get(), part.body()));
        let inner = Framed::to_bytes(header.to_wire(), &key.0, wire);
        let evidence = Evidence::new(header, key, parts);
        self.own.recent.insert(self.own.next, (*evidence.commitment(), 0));
        self.own.next = next;
        self.unnamed.drain(..named.len());
        Ok(SealedFrame { inner, evidence })
    }

    /// Takes the stamp that the platform gave to a message of one's own.
    ///
    /// # Errors
    ///
    /// [`OwnStampError`]; nothing was changed.
    pub fn own_stamp(&mut self, evidence: &Evidence, stamp: &[u8]) -> Result<Evidence, OwnStampError> {
        let stamp = Stamp::parse(stamp).map_err(|_| OwnStampError::Malformed)?;
        let mut stamped = evidence.clone();
        stamped.attach(&stamp)?;
        let header = evidence.header();
        if *header.sender() == self.me {
            self.own.stamped(&stamped, &stamp);
        }
        Ok(stamped)
    }

    /// Puts another chain of one's own in the place of this one.
    pub(crate) const fn exchange(&mut self, own: OwnChain) -> OwnChain {
        core::mem::replace(&mut self.own, own)
    }

    /// Lets go of what is known of a device's chains.
    pub(crate) fn forget_device(&mut self, peer: &AccountDevice) {
        self.chains.retain(|(owner, _), chain| *owner != peer.account || chain.device != peer.device);
        let chains = &self.chains;
        self.unnamed.retain(|key| chains.contains_key(key));
    }

    pub(super) const fn bounds(&self) -> &'static Bounds {
        Bounds::of(&self.dest)
    }

    /// Whether a message to this conversation from this account goes where.
    pub(super) fn dest_of(&self, peer: &AccountDevice) -> Option<Destination> {
        match &self.dest {
            Destination::Group(_) => Some(self.dest),
            // From another device of one's own.
            Destination::Direct(_) if peer.account == self.me => Some(self.dest),
            Destination::Direct(other) => (peer.account == *other).then_some(Destination::Direct(self.me)),
        }
    }

    /// Takes notice of a chain that has changed, and forgets what is over the bounds.
    pub(super) fn keep_bounds(&mut self, key: &ChainKey, new_head: bool, now: Timestamp) {
        if new_head && !self.unnamed.contains(key) {
            self.unnamed.push_back(*key);
        }
        let bounds = self.bounds();
        if matches!(self.dest, Destination::Direct(_)) {
            let (unnamed, clock) = (&self.unnamed, self.clock);
            self.chains.retain(|key, chain| {
                let idle = clock.saturating_sub(chain.used) >= IDLE && now.since(chain.first) >= DAY_MS;
                !idle || unnamed.contains(key)
            });
        }
        while self.chains.len() > bounds.chains {
            let Some(idle) = self.idlest(key) else { break };
            self.chains.remove(&idle);
            self.unnamed.retain(|unnamed| *unnamed != idle);
        }
        let recent: usize = self.chains.values().map(|chain| chain.recent.0.len()).sum();
        for _ in 0..recent.saturating_sub(bounds.recent) {
            let Some(longest) = self.heaviest(|chain| chain.recent.0.len().saturating_sub(1)) else { break };
            if let Some(chain) = self.chains.get_mut(&longest) {
                chain.recent.0.pop_first();
            }
        }
        let ranges: usize = self.chains.values().map(|chain| chain.missing.0.len()).sum();
        for _ in 0..ranges.saturating_sub(bounds.ranges) {
            let Some(longest) = self.heaviest(|chain| chain.missing.0.len()) else { break };
            if let Some(chain) = self.chains.get_mut(&longest) {
                chain.missing.0.pop_first();
            }
        }
    }

    /// Of whoever has the most of something, the chain with the most of it: a flood drives out its own.
    fn heaviest(&self, weight: impl Fn(&PeerChain) -> usize) -> Option<ChainKey> {
        let owner = self.heaviest_owner(&weight)?;
        let of_owner = self.chains.iter().filter(|((of, _), _)| *of == owner);
        of_owner.max_by_key(|(_, chain)| weight(chain)).filter(|(_, chain)| weight(chain) > 0).map(|(key, _)| *key)
    }

    fn heaviest_owner(&self, weight: impl Fn(&PeerChain) -> usize) -> Option<AccountTag> {
        let mut weights: BTreeMap<AccountTag, usize> = BTreeMap::new();
        for ((owner, _), chain) in &self.chains {
            *weights.entry(*owner).or_default() += weight(chain);
        }
        weights.into_iter().max_by_key(|(_, weight)| *weight).map(|(owner, _)| owner)
    }

    /// The chain that was used longest ago, of whoever has the most; not this one.
    fn idlest(&self, but: &ChainKey) -> Option<ChainKey> {
        let owner = self.heaviest_owner(|_| 1)?;
        let of_owner = self.chains.iter().filter(|(key, _)| key.0 == owner && *key != but);
        let idle = of_owner.min_by_key(|(_, chain)| chain.used);
        idle.or_else(|| self.chains.iter().filter(|(key, _)| *key != but).min_by_key(|(_, chain)| chain.used))
            .map(|(key, _)| *key)
    }
}

impl OwnChain {
    pub(crate) fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Self { chain: ChainId::new(id), next: 0, recent: Recent::default() }
    }

    /// Whether nothing was sent in it.
    pub(crate) const fn is_unused(&self) -> bool {
        self.next == 0
    }

    /// Remembers when a message of it was stamped, if it is one that is remembered, of which that is not known.
    pub(crate) fn stamped(&mut self, evidence: &Evidence, stamp: &Stamp) -> bool {
        let header = evidence.header();
        *header.chain() == self.chain
            && self.recent.stamp(header.seq(), evidence.commitment(), stamp.context.time.get())
    }
}

impl Bounds {
    pub(super) const fn of(dest: &Destination) -> &'static Self {
        match dest {
            Destination::Direct(_) => &DIRECT,
            Destination::Group(_) => &GROUP,
        }
    }
}

/// Why a stamp was not taken for a message of one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnStampError {
    /// Not a stamp. Ask the platform again, with the same bytes.
    #[error("stamp is malformed")]
    Malformed,
    /// Of another message or another sender.
    #[error(transparent)]
    Mismatch(#[from] StampMismatch),
}
