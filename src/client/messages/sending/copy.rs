//! What was sent to others, for one's own other devices.

use alloc::sync::Arc;

use super::fan_out::Dispatch;
use super::recipient::Recipient;
use super::send::MAX_LEN;
use super::sent::{SendError, Sent};
use crate::client::Client;
use crate::ident::{MessageId, Timestamp, UserId};
use crate::staging::Operation;
use crate::wire::{Outward, Transcript, TranscriptContent, TranscriptTo};

impl Client {
    /// Sends a copy of what was sent to a user to one's own other devices: they show it in the same conversation
    /// ([`ReceivedMessage::sent_to`](crate::client::ReceivedMessage::sent_to)). `sent` is when it was sent.
    ///
    /// An operation of its own, from the host's table and when it likes: together with
    /// [`Staged::and`](crate::staging::Staged::and), or later. It is idempotent by the id, as [`Client::send`]. A copy that an own
    /// device could not read is said to be gone when it asks for it.
    ///
    /// # Errors
    ///
    /// [`SendError`], when it is staged.
    ///
    /// # Security
    ///
    /// A server that sees both uploads at one moment learns who wrote to whom. Post copies later where that matters.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, db), now, mut rng) = (person("alice"), NOW, rng());
    /// # let (id, bob) = (MessageId::new([1; 16]), UserId::new("bob")?);
    /// let copied = alice.copy(id, &bob, b"Hello, Bob", now).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(copied.outgoing().is_empty(), "this is the only device");
    /// # Ok(())
    /// # }
    /// ```
    pub fn copy(
        &self,
        message_id: MessageId,
        to: &UserId,
        plaintext: &[u8],
        sent: Timestamp,
    ) -> Operation<Sent, SendError> {
        let core = self.core.clone();
        let own = Recipient::from(core.address.user());
        let (asked, dispatch) = (own.asked(), Dispatch::new(&core, message_id, &own));
        let message = (plaintext.len() <= MAX_LEN).then(|| {
            let (to, content) = (TranscriptTo::User(to.clone()), TranscriptContent::App(plaintext.to_vec()));
            let transcript = zeroize::Zeroizing::new(Transcript { to, message_id, sent, content }.to_bytes());
            Arc::new(Outward::transcript(&transcript))
        });
        let operation = Operation::new("copy", move |work| core.send_unframed(work, &dispatch, message.as_ref()));
        operation.asked(&[message_id.as_bytes(), &asked, b"copy"])
    }
}
