use alloc::vec::Vec;

use crate::client::Client;
use crate::ident::{Address, MessageId};
use crate::rows::Wishes;
use crate::staging::{Operation, StoredError};

/// Something that the host is to do. It is told until it is done, or taken back.
///
/// A new kind of duty is a new variant, and the host learns of it when it is compiled: it passes nothing over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Fetch this device's bundle, and [add a session](Client::add_session): its messages could not be read, or its session can
    /// send no more. Where the bundle cannot be had, leave it: the task comes again.
    FetchBundle(Address),
    /// Send a message again that the device could not read and asks for: [`Client::resend`] with what the host's own table holds
    /// under this id, or [`Client::decline_resend`] if it is not there any more.
    Resend {
        /// Who asks. It is the device that the message was sent to.
        address: Address,
        /// Which message.
        message_id: MessageId,
    },
    /// Publish prekeys: [`Client::publish_prekeys`] gives what is to be uploaded; when the server has it, [`Client::published`].
    PublishPrekeys,
    /// A day has passed: [`Client::maintain`], with the [rollback counter](crate::client::RollbackCounter), then
    /// [`Client::prune`] for every page.
    Maintain,
}

impl Client {
    /// What the host is to do, from the network or from its own tables. Changes nothing.
    ///
    /// It is the one road: whatever was opened, received or maintained, what follows from it is told here. To be called after
    /// opening, when the mail was received, and every few minutes as long as the app runs, since some of it waits for its
    /// time.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is run.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, now, mut rng, .. } = talking();
    /// for task in alice.todo().run(&db, now, &mut rng, |_, _| Ok(()))? {
    ///     match task {
    ///         Task::FetchBundle(address) => { /* fetch it, then `add_session` */ }
    ///         Task::Resend { address, message_id } => { /* look it up, then `answer` */ }
    ///         Task::PublishPrekeys => { /* `publish_prekeys`, upload, `published` */ }
    ///         Task::Maintain => { /* `maintain`, and `prune` for every page */ }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn todo(&self) -> Operation<Vec<Task>, StoredError> {
        let core = self.core.clone();
        Operation::new("todo", move |work| {
            work.announce([core.prekeys_key(), core.clock_key()]);
            let pages = core.wish_pages(work)?;
            work.announce(pages.iter().map(|page| core.wish_page_key(*page)));
            work.ready()?;
            let (mut tasks, mut asking) = (Vec::new(), Vec::new());
            for page in pages {
                for wish in core.load_wishes(work, page)? {
                    let due = wish.is_due(work.now).then(|| Task::FetchBundle(wish.address.clone()));
                    tasks.extend(due);
                    asking.extend(wish.resend.then_some(wish.address));
                }
            }
            work.announce(asking.iter().map(|address| Wishes::key(&core, address)));
            work.ready()?;
            for address in asking {
                let wishes = Wishes::load(&core, work, &address)?;
                let resend = |message_id| Task::Resend { address: address.clone(), message_id };
                tasks.extend(wishes.to_resend(work.now).map(resend));
            }
            let upload = core.load_prekeys(work)?.is_pending(&core, work.now);
            tasks.extend(upload.then_some(Task::PublishPrekeys));
            tasks.extend(core.is_maintenance_due(work)?.then_some(Task::Maintain));
            Ok(tasks)
        })
    }
}
