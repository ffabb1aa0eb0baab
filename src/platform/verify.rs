use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::item::Item;
use super::order::{Items, display_order, order};
use super::window::findings;
use super::{Finding, MessageOrder, RejectReason, ReportLimits, RevealedPart, StampKeys, Verdict, VerifiedMessage};
use crate::crypto::{Secret, sha256};
use crate::ident::Timestamp;
use crate::report::{
    AccountTag, Commitment, ConversationTag, Destination, FrameHeader, FrameHeaderError, GroupTag, MAX_STAMPS, Part,
    PartKind, STAMP_LEN, Stamp, StampContext, StampFormatError, header_digest, part_digest, root,
};
use crate::wire::{ReportItem, ReportMessage, ReportPart, WireError};

/// Who reports, as the platform knows it: never taken from the report.
///
/// # Examples
///
/// ```
/// use subrosa::{ident::{Timestamp, UserId}, platform::Reporter, report::{AccountTag, GroupTag}};
/// let bob = Reporter::new(AccountTag::of(&UserId::new("bob")?));
/// // Bob was in this group from its beginning until a second after the epoch.
/// let bob = bob.with_membership(GroupTag::of(b"group"), Timestamp::new(0), Timestamp::new(1_000));
/// # Ok::<(), subrosa::ident::InvalidUserId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporter {
    account: AccountTag,
    memberships: Vec<(GroupTag, Timestamp, Timestamp)>,
}

impl Reporter {
    /// The account that is authenticated on the reporting connection.
    #[must_use]
    pub const fn new(account: AccountTag) -> Self {
        Self { account, memberships: Vec::new() }
    }

    /// Says that the account was a member of a group from one moment to another, both included. Only messages that were
    /// stamped in such a time are verified, and the account's own.
    #[must_use]
    pub fn with_membership(mut self, group: GroupTag, from: Timestamp, until: Timestamp) -> Self {
        self.memberships.push((group, from, until));
        self
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> &AccountTag {
        &self.account
    }

    fn is_party(&self, sender: &AccountTag, dest: &Destination, at: Timestamp) -> bool {
        *sender == self.account
            || match dest {
                Destination::Direct(recipient) => *recipient == self.account,
                Destination::Group(group) => {
                    self.memberships.iter().any(|(of, from, until)| of == group && (*from..=*until).contains(&at))
                }
            }
    }
}

/// Why there is no verdict on a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyReportError {
    /// Longer, or of more messages or parts, than the limits allow. Ask for a smaller one.
    #[error("report is too long")]
    TooLong,
    /// Not a report as this library writes it. Drop it.
    #[error("report is malformed")]
    Malformed,
    /// Of a version that is not known here. Update.
    #[error("unsupported report version {0}")]
    UnsupportedVersion(u8),
    /// Not one of its messages is proven, for these reasons, by their places in the report. Nothing follows from it, not
    /// even that the reporter lies: stamp keys may be gone.
    #[error("nothing in the report verifies")]
    NothingVerified(Vec<(usize, RejectReason)>),
}

/// Judges a report, opened with [`ModerationKey::open`](super::ModerationKey::open).
///
/// A pure function: the same report gives the same verdict, for as long as the stamp keys are there.
///
/// # Errors
///
/// [`VerifyReportError`].
///
/// # Security
///
/// The verdict convinces whoever trusts the holder of the stamp keys, and nobody else.
///
/// # Examples
///
/// ```
/// use subrosa::platform::{ReportLimits, VerifyReportError, Reporter, StampKeys, verify_report};
/// use subrosa::report::{AccountTag, ReportBuilder};
/// let bob = AccountTag::new([1; 32]);
/// let report = ReportBuilder::new(bob).build();
/// let verdict = verify_report(&StampKeys::default(), &Reporter::new(bob), &report, &ReportLimits::default());
/// assert_eq!(verdict, Err(VerifyReportError::NothingVerified(vec![])));
/// ```
pub fn verify_report(
    keys: &StampKeys,
    reporter: &Reporter,
    report: &[u8],
    limits: &ReportLimits,
) -> Result<Verdict, VerifyReportError> {
    if report.len() > limits.max_report_len {
        return Err(VerifyReportError::TooLong);
    }
    let message = ReportMessage::parse(report, limits.max_items).map_err(|error| match error {
        WireError::TooLong => VerifyReportError::TooLong,
        WireError::UnsupportedVersion(version) => VerifyReportError::UnsupportedVersion(version),
        _ => VerifyReportError::Malformed,
    })?;
    let (mut items, mut rejected) = (Items::new(), Vec::new());
    let (mut conversation, mut known) = (None, BTreeSet::new());
    for (at, item) in message.items.into_iter().enumerate() {
        let judged = judge(keys, reporter, item, limits, conversation).and_then(|item| {
            if known.insert(item.commitment) { Ok(item) } else { Err(RejectReason::DuplicateInReport) }
        });
        match judged {
            Ok(item) => {
                conversation.get_or_insert_with(|| item.header.dest().conversation(item.header.sender()));
                items.push(item);
            }
            Err(reject) => rejected.push((at, reject)),
        }
    }
    let Some(conversation) = conversation else { return Err(VerifyReportError::NothingVerified(rejected)) };
    let report_id = report_id(&items, reporter);
    let (order, findings): (MessageOrder, Vec<Finding>) = (order(&items), findings(&items, limits));
    let places = display_order(&items);
    let mut items: Vec<Option<Item>> = items.into_iter().map(Some).collect();
    let messages = places.into_iter().filter_map(|at| items.get_mut(at)?.take()).map(verified).collect();
    let claimed_boundaries = (message.boundary & 1 != 0, message.boundary & 2 != 0);
    Ok(Verdict { report_id, conversation, messages, rejected, order, findings, note: message.note, claimed_boundaries })
}

/// Of the verified messages, of what is shown of each, and of who reports.
fn report_id(items: &[Item], reporter: &Reporter) -> [u8; 32] {
    let mut shown: Vec<(&Commitment, Vec<u8>)> = items
        .iter()
        .map(|item| {
            let open = item.parts.iter().map(|part| u8::from(matches!(part, RevealedPart::Open(_))));
            (&item.commitment, open.collect())
        })
        .collect();
    shown.sort_unstable();
    let mut digest = Vec::with_capacity(shown.len() * 40);
    for (commitment, open) in shown {
        digest.extend_from_slice(commitment.as_bytes());
        digest.extend_from_slice(&u16::try_from(open.len()).unwrap_or(u16::MAX).to_be_bytes());
        digest.extend_from_slice(&open);
    }
    sha256(&[b"\x10frank1/report-id", &digest, reporter.account.as_bytes()])
}

/// Whether the platform stamped exactly this, for a conversation of the reporter's.
fn judge(
    keys: &StampKeys,
    reporter: &Reporter,
    item: Option<ReportItem>,
    limits: &ReportLimits,
    conversation: Option<ConversationTag>,
) -> Result<Item, RejectReason> {
    let item = item.ok_or(RejectReason::Malformed)?;
    if item.sealed {
        return Err(RejectReason::SealedMode);
    }
    let header = FrameHeader::parse(&item.header).map_err(|error| match error {
        FrameHeaderError::SealedMode => RejectReason::SealedMode,
        _ => RejectReason::Malformed,
    })?;
    let stamps = stamps(&item.stamp)?;
    if item.parts.len() != usize::from(header.parts()) {
        return Err(RejectReason::PartCount);
    }
    let (mut digests, mut parts) = (Vec::with_capacity(item.parts.len()), Vec::with_capacity(item.parts.len()));
    for (at, part) in (0..=u16::MAX).zip(item.parts) {
        match part {
            ReportPart::Open { body, .. } if body.len() > limits.max_part_len => return Err(RejectReason::Malformed),
            ReportPart::Open { kind, body, key } => {
                digests.push(part_digest(&key, at, kind, &body));
                parts.push(RevealedPart::Open(Part::new(PartKind::new(kind), body)));
            }
            ReportPart::Redacted(digest) => {
                digests.push(digest);
                parts.push(RevealedPart::Redacted);
            }
        }
    }
    let commitment = root(&header_digest(&item.header_key, &item.header), &digests);
    let stamp = genuine(keys, &commitment, stamps)?;
    let StampContext { sender, dest, time, .. } = &stamp.context;
    // No receiver takes a part that is not what its kind asks for, so no honest report has one.
    if parts.iter().any(|part| matches!(part, RevealedPart::Open(part) if part.view().is_err())) {
        return Err(RejectReason::Malformed);
    }
    // The platform stamped this commitment for this account: only now does it matter what the header says.
    if sender != header.sender() {
        return Err(RejectReason::SenderMismatch);
    }
    if dest != header.dest() {
        return Err(RejectReason::DestMismatch);
    }
    if !reporter.is_party(sender, dest, *time) {
        return Err(RejectReason::ReporterNotParty);
    }
    if conversation.is_some_and(|conversation| conversation != dest.conversation(sender)) {
        return Err(RejectReason::OtherConversation);
    }
    Ok(Item { header, commitment, stamp, parts })
}

/// One stamp, or several one after the other: a receiver cannot tell which of them is the platform's.
fn stamps(bytes: &[u8]) -> Result<Vec<Stamp>, RejectReason> {
    let (stamps, rest) = bytes.as_chunks::<STAMP_LEN>();
    if !rest.is_empty() || !(1..=MAX_STAMPS).contains(&stamps.len()) {
        return Err(RejectReason::Malformed);
    }
    let parse = |stamp: &[u8; STAMP_LEN]| {
        Stamp::parse(stamp).map_err(|error| match error {
            StampFormatError::SealedMode => RejectReason::SealedMode,
            _ => RejectReason::Malformed,
        })
    };
    stamps.iter().map(parse).collect()
}

/// The earliest of those that the platform made: the message was there by then. Else why the first is not believed.
fn genuine(keys: &StampKeys, commitment: &Commitment, stamps: Vec<Stamp>) -> Result<Stamp, RejectReason> {
    let judge = |stamp: &Stamp| match keys.tag(stamp.kid, commitment, &stamp.context) {
        None => Err(RejectReason::UnknownStampKey),
        Some(tag) if tag == Secret::new(stamp.tag) => Ok(()),
        Some(_) => Err(RejectReason::BadStamp),
    };
    let reject = stamps.first().map_or(Err(RejectReason::Malformed), judge).err();
    let genuine = stamps.into_iter().filter(|stamp| judge(stamp).is_ok()).min_by_key(|stamp| stamp.context.time);
    genuine.ok_or_else(|| reject.unwrap_or(RejectReason::BadStamp))
}

fn verified(item: Item) -> VerifiedMessage {
    let Item { header, commitment, stamp: Stamp { kid, context, tag: _ }, parts } = item;
    VerifiedMessage {
        commitment,
        sender: context.sender,
        dest: context.dest,
        place: (*header.chain(), header.seq()),
        platform_time: context.time,
        claimed_time: header.sent(),
        conv_seq: context.conv_seq,
        stamp_kid: kid,
        parts,
    }
}
