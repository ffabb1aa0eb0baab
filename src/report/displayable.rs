use crate::wire::Content;

/// A content that a user would see came without a frame, in a conversation where all that is seen is framed: somebody
/// takes the means to report it away. Do not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("content is not framed")]
pub struct Unframed;

/// Whether a content may be handed to the application in a conversation with framing.
///
/// Framed content may, and so may what the protocol itself consumes: sender keys, changes of a group (which hold the
/// hash of a title only), rosters, repair requests, provisioning, receipts, and the other contents up to 31. The
/// application's plain bytes may not, nor what this version does not know: both may end up on a screen, as a sticker, a
/// name, a call's caption.
///
/// # Errors
///
/// [`Unframed`].
///
/// # Examples
///
/// ```
/// use subrosa::{report::{Unframed, refuse_unframed}, wire::Content};
/// assert_eq!(refuse_unframed(&Content::App(b"a sticker".to_vec())), Err(Unframed));
/// assert_eq!(refuse_unframed(&Content::Receipt(vec![])), Ok(()));
/// ```
pub const fn refuse_unframed(content: &Content) -> Result<(), Unframed> {
    match content {
        Content::Framed(_)
        | Content::SenderKeyDistribution(_)
        | Content::GroupChange(_)
        | Content::Roster(_)
        | Content::RepairRequest(_)
        | Content::Provisioning(_)
        | Content::Receipt(_)
        | Content::Typing(_)
        | Content::Sync(_)
        | Content::Transcript(_)
        | Content::AccessRequest(_)
        | Content::Call(_)
        | Content::CallKey(_)
        | Content::Verify(_)
        | Content::History(_) => Ok(()),
        // No other arm: a content that is added to the payload is refused until it is judged here.
        _ => Err(Unframed),
    }
}
