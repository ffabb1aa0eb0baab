use core::fmt;

use crate::crypto::sha256;
use crate::ident::{Address, UserId};

/// `u32 length`, as it stands before everything of variable length.
pub(super) fn length(bytes: &[u8]) -> [u8; 4] {
    // Nothing of 4 GiB gets here: every input has a bound far below.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

macro_rules! tag {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Takes the bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Four bytes tell two apart in a log.
                let [a, b, c, d, ..] = self.0;
                write!(f, concat!(stringify!($name), "({:02x}{:02x}{:02x}{:02x}..)"), a, b, c, d)
            }
        }
    };
}

tag! {
    /// An account, as commitments, stamps and reports name it: 32 bytes.
    ///
    /// # Security
    ///
    /// A hash of the user id and of nothing secret: whoever knows the ids knows the tags.
    ///
    /// # Examples
    ///
    /// ```
    /// use subrosa::{ident::UserId, report::AccountTag};
    /// let alice = AccountTag::of(&UserId::new("alice")?);
    /// assert_eq!(alice.as_bytes()[..4], [0x58, 0xcc, 0x76, 0x7a]);
    /// # Ok::<(), subrosa::ident::InvalidUserId>(())
    /// ```
    AccountTag, 32
}

tag! {
    /// A group, as commitments, stamps and reports name it: 32 bytes.
    GroupTag, 32
}

tag! {
    /// A conversation, to sort reports by: 32 bytes, the same for everyone in it.
    ConversationTag, 32
}

tag! {
    /// Commitment to one message: 32 bytes. It names the message everywhere: in stamps, quotes, edits and reports.
    Commitment, 32
}

tag! {
    /// Id of one device's chain in one conversation: 16 random bytes. Meaningful together with the chain's owner.
    ChainId, 16
}

tag! {
    /// Names a chain and its owner in other people's messages: 16 bytes.
    ChainTag, 16
}

impl AccountTag {
    /// The tag of a user.
    #[must_use]
    pub fn of(user: &UserId) -> Self {
        let id = user.as_str().as_bytes();
        Self(sha256(&[b"\x0bfrank1/acct", &length(id), id]))
    }
}

impl GroupTag {
    /// The tag of a group, from its id of any length.
    #[must_use]
    pub fn of(id: &[u8]) -> Self {
        Self(sha256(&[b"\x0cfrank1/group", &length(id), id]))
    }
}

impl ChainTag {
    /// The tag of a chain.
    ///
    /// # Security
    ///
    /// The owner goes into it: a member who uses another's chain id makes a chain of its own.
    #[must_use]
    pub fn of(owner: &AccountTag, chain: &ChainId) -> Self {
        let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            sha256(&[b"\x0cfrank1/chain", &owner.0, &chain.0]);
        Self(tag)
    }
}

impl Commitment {
    /// What a framed message is bound to in its session: give it to
    /// [`Session::encrypt_bound`](crate::session::Session::encrypt_bound) and
    /// [`Message::bound_to`](crate::session::SessionMessage::bound_to).
    ///
    /// # Security
    ///
    /// The commitment travels in clear on the envelope, where the platform stamps it. Bound like this, the ciphertext
    /// opens with no other.
    #[must_use]
    pub fn external_ad(&self) -> [u8; 42] {
        let mut out = [0; 42];
        let (label, commitment) = out.split_at_mut(10);
        label.copy_from_slice(b"\x09frank1/ad");
        commitment.copy_from_slice(&self.0);
        out
    }
}

/// To whom a message goes: what the platform's stamp and the message's header both say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// One account.
    Direct(AccountTag),
    /// A group.
    Group(GroupTag),
}

impl Destination {
    /// 1 direct, 2 group.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Direct(_) => 1,
            Self::Group(_) => 2,
        }
    }

    /// The account's or the group's tag.
    #[must_use]
    pub const fn tag(&self) -> &[u8; 32] {
        match self {
            Self::Direct(account) => account.as_bytes(),
            Self::Group(group) => group.as_bytes(),
        }
    }

    pub(crate) const fn from_parts(kind: u8, tag: [u8; 32]) -> Option<Self> {
        match kind {
            1 => Some(Self::Direct(AccountTag(tag))),
            2 => Some(Self::Group(GroupTag(tag))),
            _ => None,
        }
    }

    /// The conversation that a message of a sender to here belongs to.
    ///
    /// # Examples
    ///
    /// ```
    /// use subrosa::report::{AccountTag, Destination};
    /// let (a, b) = (AccountTag::new([1; 32]), AccountTag::new([2; 32]));
    /// assert_eq!(Destination::Direct(a).conversation(&b), Destination::Direct(b).conversation(&a));
    /// ```
    #[must_use]
    pub fn conversation(&self, sender: &AccountTag) -> ConversationTag {
        const LABEL: &[u8] = b"\x0bfrank1/conv";
        ConversationTag(match self {
            Self::Direct(account) => {
                let (low, high) = if sender <= account { (sender, account) } else { (account, sender) };
                sha256(&[LABEL, &[1], &low.0, &high.0])
            }
            Self::Group(group) => sha256(&[LABEL, &[2], &group.0]),
        })
    }
}

/// One device of an account: who a session authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountDevice {
    /// The account.
    pub account: AccountTag,
    /// The device's number.
    pub device: u32,
}

impl AccountDevice {
    /// The device at an address.
    ///
    /// # Examples
    ///
    /// ```
    /// use subrosa::{ident::{Address, DeviceId, UserId}, report::{AccountTag, AccountDevice}};
    /// let alice = UserId::new("alice")?;
    /// let phone = AccountDevice::of(&Address::new(alice.clone(), DeviceId::new(7)));
    /// assert_eq!(phone, AccountDevice { account: AccountTag::of(&alice), device: 7 });
    /// # Ok::<(), subrosa::ident::InvalidUserId>(())
    /// ```
    #[must_use]
    pub fn of(address: &Address) -> Self {
        Self { account: AccountTag::of(address.user()), device: address.device().get() }
    }
}
