use alloc::vec::Vec;

use crate::client::Client;
use crate::client::account::DeviceStanding;
use crate::ident::{Address, MessageId, Timestamp, UserId};
use crate::rows::{Core, OwnAccount, Standing, Wishes};
use crate::staging::{Operation, StoredError};

/// Something that the host is to do. It is told until it is done, or taken back.
///
/// A new kind of duty is a new variant, and the host learns of it when it is compiled: it passes nothing over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Fetch this device's bundle, and [add a session](Client::add_session): its messages could not be read, or its session can
    /// send no more. Where the bundle cannot be had, leave it: the task comes again.
    FetchBundle(Address),
    /// Ask the directory for the newest roster of this user, and [say](Client::add_user) what it has, or that it has none:
    /// somebody unknown has written, a device that is not listed, or it is to be confirmed. Where it cannot be had, leave
    /// it: the task comes again. After an answer it comes once a day at most; for one's own, every time while this device
    /// [waits to be listed](DeviceStanding::NotListedYet).
    FetchRoster(UserId),
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
    /// Publish one's own roster: bring [`OwnRoster::upload`](crate::client::OwnRoster::upload) to the directory, which takes it
    /// if its own is older, and say so by [`Client::roster_published`]; where it has another one, [`Client::update_own_roster`].
    /// An app without a directory leaves it: then devices know each other by their identity keys alone, and no people.
    PublishRoster,
    /// This device was removed from its account, or was linked and a day later the directory did not list it: [`Client::wipe`].
    Wipe,
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
    ///         Task::FetchRoster(user) => { /* ask the directory, then `add_user` */ }
    ///         Task::Resend { address, message_id } => { /* look it up, then `answer` */ }
    ///         Task::PublishPrekeys => { /* `publish_prekeys`, upload, `published` */ }
    ///         Task::PublishRoster => { /* `own_roster`, upload, `roster_published` */ }
    ///         Task::Wipe => { /* `wipe`, and delete the database */ }
    ///         Task::Maintain => { /* `maintain`, and `prune` for every page */ }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn todo(&self) -> Operation<Vec<Task>, StoredError> {
        let core = self.core.clone();
        Operation::new("todo", move |work| {
            work.announce([core.prekeys_key(), core.clock_key(), core.account_key()]);
            let account = core.load_account(work)?;
            let standing = account.as_ref().map(|account| DeviceStanding::of(account.standing(&core)));
            if standing == Some(DeviceStanding::Removed) {
                return Ok(Vec::from([Task::Wipe]));
            }
            let pages = core.wish_pages(work)?;
            work.announce(pages.iter().map(|page| core.wish_page_key(*page)));
            work.ready()?;
            let (mut tasks, mut asking) = (Vec::new(), Vec::new());
            for page in pages {
                for wish in core.load_wishes(work, page)? {
                    let due = wish.is_due(work.now).then(|| match wish.user() {
                        Some(user) => Task::FetchRoster(user.clone()),
                        None => Task::FetchBundle(wish.address.clone()),
                    });
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
            tasks.extend(account.iter().flat_map(|account| core.account_tasks(account, work.now)));
            tasks.extend(core.is_maintenance_due(work)?.then_some(Task::Maintain));
            Ok(tasks)
        })
    }
}

/// How often the directory is asked for one's own roster: daily, and every time by a device that waits to be listed. So each device learns of what another one has published, and
/// what a server has made of it.
const OWN_ROSTER_MS: u64 = 24 * 3_600_000;

impl Core {
    /// What is to be done for one's own account.
    fn account_tasks(&self, account: &OwnAccount, now: Timestamp) -> Vec<Task> {
        let is_published = account.roster().is_some();
        let is_old = |checked| crate::rows::elapsed(now, checked) >= OWN_ROSTER_MS;
        // Whoever was linked and has asked a moment too early would wait for a day, and then be wiped.
        let is_awaited = matches!(account.standing(self), Standing::Awaited { .. });
        let asks = is_published && (is_awaited || account.checked.is_none_or(is_old));
        let publish = account.pending.is_some().then_some(Task::PublishRoster);
        publish.into_iter().chain(asks.then(|| Task::FetchRoster(self.address.user().clone()))).collect()
    }
}
