use crate::account::{AccountKey, Roster};
use crate::client::Client;
use crate::client::contacts::UserStatus;
use crate::ident::UserId;
use crate::rows::{Core, User, Verified};
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::wire::ContactState;

/// What is known of a user, see [`Client::user`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownUser {
    /// What is to be thought of the user.
    pub status: UserStatus,
    /// The newest roster; `None` where there is none: the user's devices are known by their identity keys alone.
    pub roster: Option<Roster>,
    /// The roster of another account key, of which the host is to decide ([`Client::accept_account_key`]).
    pub changed: Option<Roster>,
}

impl KnownUser {
    /// The account key that the user is known by: what people compare, as a [`SafetyNumber`](crate::account::SafetyNumber).
    #[must_use]
    pub fn account_key(&self) -> Option<&AccountKey> {
        self.roster.as_ref().map(Roster::account_key)
    }
}

impl Client {
    /// What is known of a user: `None` if nothing is.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::account::CarriedRoster;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, db), (bob, bob_db), now, mut rng) = (person("alice"), person("bob"), NOW, rng());
    /// # let (user, head) = (bob.address().user(), CarriedRoster::parse(&directory(&bob, &bob_db))?);
    /// alice.add_user(user, Some(&head), &[]).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// let known = alice.user(user).run(&db, now, &mut rng, |_, _| Ok(()))?.expect("is known");
    /// assert_eq!(known.roster.unwrap().devices().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn user(&self, user: &UserId) -> Operation<Option<KnownUser>, StoredError> {
        let (core, name) = (self.core.clone(), user.clone());
        Operation::new("user", move |work| {
            let Some(user) = core.load_user(work, &name)? else { return Ok(None) };
            let status = UserStatus::of(&user, user.account(), work.now);
            Ok(Some(KnownUser { status, roster: user.roster().cloned(), changed: user.changed }))
        })
    }

    /// The user wants to hear of another one: what was a request is a conversation. To write to somebody is to accept, too.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// See [`Self::block`].
    pub fn accept(&self, user: &UserId) -> Operation<(), StoredError> {
        self.set_contact("accept", user, |state| match state {
            // Only `unblock` lifts that.
            ContactState::Blocked => ContactState::Blocked,
            _ => ContactState::Accepted,
        })
    }

    /// The user wants to hear nothing of another one: messages are wiped as they come
    /// ([`Received::Blocked`](crate::client::Received::Blocked)), and nothing is sent. Sessions go on, so that nothing is
    /// lost to sight when it is [lifted](Self::unblock).
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::{account::CarriedRoster, wire::ContactState};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, db), (bob, bob_db), now, mut rng) = (person("alice"), person("bob"), NOW, rng());
    /// # let (user, head) = (bob.address().user(), CarriedRoster::parse(&directory(&bob, &bob_db))?);
    /// alice.add_user(user, Some(&head), &[]).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// alice.accept(user).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// alice.block(user).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// let send = alice.send(MessageId::new([1; 16]), user, b"hi").stage(&db, now, &mut rng);
    /// assert!(matches!(send, Err(StageError::Operation(SendError::Blocked))));
    /// alice.unblock(user).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// let known = alice.user(user).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert_eq!(known.unwrap().status.contact, ContactState::None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn block(&self, user: &UserId) -> Operation<(), StoredError> {
        self.set_contact("block", user, |_| ContactState::Blocked)
    }

    /// Lifts [`Self::block`]: nothing is decided about the user then.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// See [`Self::block`].
    pub fn unblock(&self, user: &UserId) -> Operation<(), StoredError> {
        self.set_contact("unblock", user, |state| match state {
            ContactState::Blocked => ContactState::None,
            state => state,
        })
    }

    /// The user deletes a contact, and with it what was decided: who writes next is a request. The account key stays known, so
    /// that whoever comes under the same name with another one is shown as such.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, db), now, mut rng) = (person("alice"), NOW, rng());
    /// # let bob = UserId::new("bob")?;
    /// alice.delete_contact(&bob).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete_contact(&self, user: &UserId) -> Operation<(), StoredError> {
        self.set_contact("delete_contact", user, |state| match state {
            ContactState::Blocked => ContactState::Blocked,
            _ => ContactState::None,
        })
    }

    /// People have compared their account keys, with a [`SafetyNumber`](crate::account::SafetyNumber) or emoji: notes it, if
    /// the user is still known by this key. Gives whether that is so.
    ///
    /// The mark is told with everything that comes of the user, and goes when the key does.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::account::{CarriedRoster, SafetyNumber};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, db), (bob, bob_db), now, mut rng) = (person("alice"), person("bob"), NOW, rng());
    /// # let (user, head) = (bob.address().user(), CarriedRoster::parse(&directory(&bob, &bob_db))?);
    /// # alice.add_user(user, Some(&head), &[]).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// let own = alice.own_roster().run(&db, now, &mut rng, |_, _| Ok(()))?.published.unwrap();
    /// let known = alice.user(user).run(&db, now, &mut rng, |_, _| Ok(()))?.unwrap();
    /// let theirs = known.account_key().unwrap();
    /// let number = SafetyNumber::new((alice.address().user(), own.account_key()), (user, theirs));
    /// println!("{}", number.digits());
    /// // … they compare, and it is the same …
    /// # let key = *theirs;
    /// assert!(alice.mark_verified(user, &key).run(&db, now, &mut rng, |_, _| Ok(()))?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn mark_verified(&self, user: &UserId, key: &AccountKey) -> Operation<bool, StoredError> {
        let (core, name, key) = (self.core.clone(), user.clone(), *key);
        Operation::new("mark_verified", move |work| {
            work.announce(core.user_wish_keys(&name));
            let Some(mut user) = core.load_user(work, &name)? else { return Ok(false) };
            let is_it = user.roster().is_some_and(|roster| *roster.account_key() == key);
            if is_it && user.verified != Verified::Yes {
                user.verified = Verified::Yes;
                core.save_user(work, &name, &user)?;
            }
            Ok(is_it)
        })
    }

    /// Takes [`Self::mark_verified`] back.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, db), now, mut rng) = (person("alice"), NOW, rng());
    /// # let bob = UserId::new("bob")?;
    /// alice.clear_verified(&bob).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_verified(&self, user: &UserId) -> Operation<(), StoredError> {
        let (core, name) = (self.core.clone(), user.clone());
        Operation::new("clear_verified", move |work| {
            core.change_user(work, &name, |user| {
                if user.verified != Verified::No {
                    user.verified = Verified::No;
                }
            })
        })
    }

    fn set_contact(
        &self,
        name: &'static str,
        user: &UserId,
        next: fn(ContactState) -> ContactState,
    ) -> Operation<(), StoredError> {
        let (core, user) = (self.core.clone(), user.clone());
        Operation::new(name, move |work| core.change_user(work, &user, |user| user.contact = next(user.contact)))
    }
}

impl Core {
    /// Changes what is known of a user; nothing is written where nothing is changed.
    fn change_user(
        &self,
        work: &mut Workspace<'_>,
        name: &UserId,
        change: impl FnOnce(&mut User),
    ) -> Result<(), Stop<StoredError>> {
        work.announce(self.user_wish_keys(name));
        let before = self.load_user(work, name)?.unwrap_or_default();
        let mut user = before.clone();
        change(&mut user);
        if user == before { Ok(()) } else { self.save_user(work, name, &user) }
    }
}
