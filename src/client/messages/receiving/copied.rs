//! What another of one's own devices has sent to others.

use super::received::{ReceiveError, ReceivedMessage};
use crate::client::contacts::{IdentityStatus, UserStatus};
use crate::ident::{Address, MessageName};
use crate::rows::Core;
use crate::staging::{Stop, StoredError, Workspace};
use crate::suite::Suite;
use crate::wire::{ContactState, Content, Transcript, TranscriptContent, TranscriptTo, WireError};

/// The message as the host shows it: in the conversation with the one it was sent to.
pub(super) fn copied(
    transcript: &[u8],
    from: &Address,
    name: MessageName,
    user: UserStatus,
) -> Result<ReceivedMessage, ReceiveError> {
    let Transcript { to, message_id, sent, content } = Transcript::parse(transcript)?;
    // What a later version copies, this one cannot show: it stays with the transport.
    let (TranscriptTo::User(to), TranscriptContent::App(text)) = (to, content) else {
        return Err(ReceiveError::Unsupported);
    };
    if to == *from.user() {
        return Err(WireError::Field.into());
    }
    Ok(ReceivedMessage {
        from: from.clone(),
        identity: IdentityStatus::Known,
        user,
        message_id: Some(message_id),
        sent: Some(sent),
        sent_to: Some(to),
        content: Content::App(text),
        suite: Suite::V1,
        lacks_frame: false,
        name,
        answers: None,
    })
}

impl Core {
    /// Who wrote on another device has accepted the user there; only unblocking lifts a block.
    pub(super) fn accept_by_copy(
        &self,
        work: &mut Workspace<'_>,
        message: &ReceivedMessage,
    ) -> Result<(), Stop<StoredError>> {
        let Some(name) = &message.sent_to else { return Ok(()) };
        work.announce(self.user_wish_keys(name));
        let mut user = self.load_user(work, name)?.unwrap_or_default();
        if matches!(user.contact, ContactState::None | ContactState::Pending) {
            user.contact = ContactState::Accepted;
            self.save_user(work, name, &user)?;
        }
        Ok(())
    }
}
