use super::{AccountTag, Commitment, MessagePolicy, Part, PartView};

/// What the host knows of the message that another one is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetMessage {
    /// Who wrote it, as its evidence says.
    pub author: AccountTag,
    /// Whether it was taken back.
    pub deleted: bool,
    /// How it lives, where it said so.
    pub policy: MessagePolicy,
}

/// What a message does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageAction {
    /// It says something, perhaps in answer to another.
    Say {
        /// The message that it answers.
        quote: Option<Commitment>,
    },
    /// It replaces another.
    Edit(Commitment),
    /// It takes another back.
    Delete(Commitment),
    /// It reacts to another.
    React(Commitment),
}

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ruling {
    /// Do it.
    Do(MessageAction),
    /// The message that it edits or deletes is not here. Keep it aside; ask again when that one comes.
    Wait(MessageAction),
}

/// Why a message is not to be acted upon. It stays evidence, and can be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// Only who wrote a message edits it or takes it back. Do not act; the user may want to know.
    #[error("only its author edits or deletes a message")]
    NotAuthor,
    /// The message was taken back before. Do not act.
    #[error("message was deleted")]
    Deleted,
    /// What is shown once is not edited: it would be shown again. Do not act.
    #[error("message is shown once")]
    ViewOnce,
}

/// Says what a message does and whether its author may.
///
/// Editing and deleting is for the author of the message alone, reacting for anyone; both need the message to be
/// there. `find` looks the other message up by its commitment.
///
/// # Errors
///
/// [`RuleError`].
///
/// # Examples
///
/// ```
/// use subrosa::report::{AccountTag, Commitment, MessagePolicy, Part, RuleError, TargetMessage, rule};
/// let (alice, mallory) = (AccountTag::new([1; 32]), AccountTag::new([2; 32]));
/// let target = TargetMessage { author: alice, deleted: false, policy: MessagePolicy::default() };
/// let deletion = [Part::delete_of(&Commitment::new([7; 32]))];
/// assert!(rule(&deletion, &alice, |_| Some(target)).is_ok());
/// assert_eq!(rule(&deletion, &mallory, |_| Some(target)), Err(RuleError::NotAuthor));
/// ```
pub fn rule(
    parts: &[Part],
    author: &AccountTag,
    find: impl FnOnce(&Commitment) -> Option<TargetMessage>,
) -> Result<Ruling, RuleError> {
    let mut action = MessageAction::Say { quote: None };
    for part in parts {
        match part.view() {
            Ok(PartView::Quote(target)) if matches!(action, MessageAction::Say { .. }) => {
                action = MessageAction::Say { quote: Some(target) };
            }
            Ok(PartView::EditOf(target)) => action = MessageAction::Edit(target),
            Ok(PartView::DeleteOf(target)) => action = MessageAction::Delete(target),
            Ok(PartView::Reaction(target, _)) => action = MessageAction::React(target),
            _ => {}
        }
    }
    let (target, by_author_only) = match &action {
        MessageAction::Say { .. } => return Ok(Ruling::Do(action)),
        MessageAction::Edit(target) | MessageAction::Delete(target) => (target, true),
        MessageAction::React(target) => (target, false),
    };
    let Some(known) = find(target) else { return Ok(Ruling::Wait(action)) };
    if by_author_only && known.author != *author {
        return Err(RuleError::NotAuthor);
    }
    if known.deleted {
        return Err(RuleError::Deleted);
    }
    if matches!(action, MessageAction::Edit(_)) && known.policy.view_once {
        return Err(RuleError::ViewOnce);
    }
    Ok(Ruling::Do(action))
}
