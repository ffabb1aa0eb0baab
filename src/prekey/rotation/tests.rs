use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec;

const START: u64 = 1_800_000_000_000;

fn day(days: u64) -> Timestamp {
    Timestamp::new(START + days * DAY_MS)
}

fn made(id: u32, created: u64, published: Option<u64>) -> Made {
    Made { id: PrekeyId::new(id), created: day(created), published: published.map(day) }
}

fn rotation(made: &[Made]) -> Rotation {
    Rotation::from_made(made.to_vec()).unwrap()
}

#[test]
fn the_ages_fit_together() {
    // Whoever is in use is refused by nobody, and what was handed out last can arrive as late as mail is kept.
    const { assert!(ROTATE_AFTER_MS < KEEP_MS && KEEP_MS < MAX_PREKEY_AGE_MS) };
    const { assert!(ROTATE_AFTER_MS + KEEP_MS <= MAX_PREKEY_AGE_MS) };
    assert_eq!(crate::session::MAX_UNANSWERED_MS, KEEP_MS, "so long a first message is sent again");
}

#[test]
fn what_is_due() {
    for (list, now, worn, due) in [
        (vec![], day(0), false, Due::Make),
        (vec![made(1, 0, Some(0))], day(7 - 1), false, Due::Nothing),
        (vec![made(1, 0, Some(0))], day(7), false, Due::Make),
        (vec![made(1, 0, Some(0))], day(1), true, Due::Make),
        (vec![made(1, 0, None)], day(6), false, Due::Nothing),
        (vec![made(1, 0, None)], day(6), true, Due::Nothing),
        (vec![made(1, 0, None)], day(7), false, Due::Refresh),
        (vec![made(1, 0, Some(0)), made(2, 7, None)], day(13), false, Due::Nothing),
        (vec![made(1, 0, Some(0)), made(2, 7, None)], day(400), false, Due::Refresh),
        // A clock that was ahead: another one, since a server takes no older date for the same key.
        (vec![made(1, 730, Some(0))], day(5), false, Due::Make),
        (vec![made(1, 730, None)], day(5), false, Due::Make),
        (vec![made(1, 6, Some(6))], day(5), false, Due::Nothing),
        // One that was behind.
        (vec![made(2, 300, Some(300)), made(1, 0, Some(0))], day(301), false, Due::Make),
    ] {
        assert_eq!(rotation(&list).due(now, worn), due, "{list:?} on {now:?}");
    }
}

#[test]
fn what_has_expired() {
    let undated = Some(u64::MAX / DAY_MS - START / DAY_MS - 1);
    for (list, settled, expired) in [
        // The newest that the server is known to hold stays, however old it is.
        (vec![made(1, 0, Some(0))], 10_000, vec![]),
        (vec![made(1, 0, Some(0)), made(2, 60, None)], 10_000, vec![]),
        (vec![made(1, 0, Some(0)), made(2, 60, undated)], 10_000, vec![]),
        // 30 days from the confirmation, and not from when it was made.
        (vec![made(1, 0, Some(0)), made(2, 7, Some(60))], 89, vec![]),
        (vec![made(1, 0, Some(0)), made(2, 7, Some(60))], 90, vec![1]),
        (vec![made(1, 0, Some(0)), made(2, 7, Some(7)), made(3, 14, Some(14))], 37, vec![1]),
        (vec![made(1, 0, Some(0)), made(2, 7, Some(7)), made(3, 14, Some(14))], 44, vec![1, 2]),
        // One that was never confirmed goes with its successor.
        (vec![made(1, 0, Some(0)), made(2, 7, None), made(3, 8, Some(9))], 39, vec![1, 2]),
    ] {
        let mut rotation = rotation(&list);
        let gone: Vec<_> = rotation.take_expired(day(settled)).iter().map(|id| id.get()).collect();
        assert_eq!(gone, expired, "{list:?} on day {settled}");
        assert_eq!(rotation.made().len() + gone.len(), list.len());
    }
}

#[test]
fn dates_are_noted_by_the_next_round_and_taken_back_from_the_future() {
    let mut rotation = rotation(&[made(1, 0, Some(0)), made(2, 7, None)]);
    rotation.confirm();
    assert_eq!(rotation.newest().unwrap().published, Some(UNDATED));
    rotation.date(day(730));
    assert_eq!(rotation.newest().unwrap().published, Some(day(730)));
    rotation.date(day(9));
    assert_eq!(rotation.newest().unwrap().published, Some(day(9)));
    rotation.date(day(20));
    rotation.confirm();
    assert_eq!(rotation.newest().unwrap().published, Some(day(9)), "once");
}

#[test]
fn a_full_list_waits_and_never_loses_what_the_server_holds() {
    let mut rotation = Rotation::default();
    for id in 0..64 {
        rotation.make(PrekeyId::new(id), day(0));
        if id == 0 {
            rotation.confirm();
        }
    }
    assert_eq!(rotation.due(day(1), true), Due::Nothing);
    assert_eq!(rotation.due(day(8), false), Due::Refresh);
    assert_eq!(rotation.make(PrekeyId::new(64), day(0)), Some(PrekeyId::new(1)));
    assert!(rotation.made().iter().any(|made| made.id == PrekeyId::new(0)) && rotation.made().len() == 64);
    assert_eq!(Rotation::from_made(vec![made(1, 0, None); 65]), None);
}

#[test]
fn one_time_prekeys_are_topped_up_when_low_and_not_more_than_so_many_a_day() {
    let mut stock = Stock::default();
    assert_eq!((stock.wanted(25, day(0)), stock.wanted(24, day(0)), stock.wanted(0, day(0))), (0, 76, 100));
    stock.add(0, 100, day(0));
    stock.add(100, 176, day(0));
    assert_eq!((stock.wanted(0, day(0)), stock.wanted(24, day(0))), (24, 24));
    stock.add(176, 200, day(0));
    assert_eq!(stock.wanted(0, day(0)), 0);
    assert_eq!(stock.wanted(0, Timestamp::new(day(1).get() - 1)), 0);
    assert_eq!(stock.wanted(0, day(1)), 100);
    // Made under a clock that was ahead: they are not in the way.
    stock.add(200, 300, day(700));
    assert_eq!(stock.wanted(0, day(1)), 100);
}

#[test]
fn lots_go_when_they_were_replaced_30_days_ago() {
    let mut stock = Stock::default();
    stock.add(0, 100, day(0));
    stock.confirm(true);
    stock.add(100, 200, day(1));
    assert!(stock.take_expired(day(10_000), 9).is_empty(), "the server may have it");
    stock.confirm(true);
    assert!(stock.take_expired(day(10_000), 9).is_empty(), "not dated");
    stock.date(day(2));
    assert!(stock.take_expired(day(31), 9).is_empty());
    let gone = stock.take_expired(day(32), 9);
    assert_eq!(gone.iter().map(|lot| (lot.first, lot.end)).collect::<Vec<_>>(), [(0, 100)]);
    assert_eq!(stock.lots().len(), 1);
    // What waits when the store goes back may have arrived.
    stock.add(200, 300, day(3));
    stock.give_up();
    assert_eq!(stock.pending().count(), 0);
    assert!((0..9).map(|_| stock.add(0, 100, day(4))).count() == 9 && stock.is_large());
}

#[test]
fn lots_that_cannot_be_are_refused() {
    let lot = |first, end| Lot { first, end, made: day(0), stocked: Stocked::Out };
    assert!(Stock::from_lots(vec![lot(1, 201); 256]).is_some());
    for lots in [vec![lot(2, 1)], vec![lot(0, 201)], vec![lot(0, u32::MAX)], vec![lot(0, 1); 257]] {
        assert_eq!(Stock::from_lots(lots), None);
    }
}

/// What a device and its server go through.
#[derive(Debug, Clone)]
enum Event {
    /// The device does what is due. The upload arrives, and the news of that as well, or one of the two, or none.
    Attend { arrives: bool, heard: bool },
    /// Time passes: hours.
    Pass(u64),
    /// Upkeep without network.
    Maintain,
    /// For an hour the clock says something else, and the device does what is due, with a network.
    Wrong(Timestamp),
    /// The store goes back in time, and the device notices: others are made that are not due.
    Anew,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let wrong = prop_oneof![
        Just(Timestamp::new(0)),
        Just(day(3_000)),
        (0..800u64).prop_map(|days| Timestamp::new(START - days * DAY_MS)),
        (0..800u64).prop_map(day),
        any::<u64>().prop_map(Timestamp::new),
    ];
    let event = prop_oneof![
        6 => (any::<bool>(), any::<bool>()).prop_map(|(arrives, heard)| Event::Attend { arrives, heard }),
        6 => prop_oneof![0..30u64, 20..200u64, 500..2_200u64].prop_map(Event::Pass),
        3 => Just(Event::Maintain),
        2 => wrong.prop_map(Event::Wrong),
        1 => Just(Event::Anew),
    ];
    prop::collection::vec(event, 1..120)
}

/// The rule of the deletion clock in two lines, which `client::clock` keeps in a row.
#[derive(Default)]
struct Clock(Option<(Timestamp, Timestamp)>);

impl Clock {
    fn round(&mut self, now: Timestamp) -> (bool, Timestamp) {
        let (candidate, settled) = self.0.unwrap_or((now, Timestamp::new(0)));
        let is_new = now.since(candidate) >= DAY_MS;
        let settled = if is_new { candidate } else { settled }.min(now);
        self.0 = Some((if is_new { now } else { candidate.min(now) }, settled));
        (is_new, settled)
    }
}

#[derive(Default)]
struct World {
    rotation: Rotation,
    clock: Clock,
    next: u32,
    /// On the server: which, made when.
    held: Option<(PrekeyId, Timestamp)>,
    /// When each was handed out last, by the right time.
    handed_out: BTreeMap<PrekeyId, Timestamp>,
    private: BTreeMap<PrekeyId, ()>,
}

impl World {
    fn upkeep(&mut self, clock: Timestamp) {
        let (is_new, settled) = self.clock.round(clock);
        if is_new {
            self.rotation.date(clock);
        }
        for id in self.rotation.take_expired(settled) {
            self.private.remove(&id);
        }
    }

    fn make(&mut self, clock: Timestamp) {
        self.next += 1;
        let id = PrekeyId::new(self.next);
        self.private.insert(id, ());
        if let Some(gone) = self.rotation.make(id, clock) {
            self.private.remove(&gone);
        }
    }

    fn attend(&mut self, clock: Timestamp, arrives: bool, heard: bool) {
        self.upkeep(clock);
        match self.rotation.due(clock, false) {
            Due::Make => self.make(clock),
            Due::Refresh => self.rotation.refresh(clock),
            Due::Nothing => {}
        }
        let newest = self.rotation.newest().unwrap();
        if newest.published.is_none() && arrives {
            self.held = Some((newest.id, newest.created));
            if heard {
                self.rotation.confirm();
            }
        }
    }
}

proptest! {
    /// Whatever is written to, and when the device was awake: the private half of each bundle that the server may have handed
    /// out, and that nobody refuses, is there for 30 days.
    #[test]
    fn no_private_half_is_missing(events in events()) {
        let (mut world, mut now) = (World::default(), day(0));
        for event in events {
            match event {
                Event::Attend { arrives, heard } => world.attend(now, arrives, heard),
                Event::Pass(hours) => now = Timestamp::new(now.get() + hours * 3_600_000),
                Event::Maintain => world.upkeep(now),
                Event::Wrong(clock) => {
                    world.attend(clock, true, true);
                    world.attend(Timestamp::new(clock.get().saturating_add(1_800_000)), true, true);
                    now = Timestamp::new(now.get() + 3_600_000);
                    world.upkeep(now);
                }
                Event::Anew => world.make(now),
            }
            if let Some((id, created)) = world.held {
                prop_assert!(world.private.contains_key(&id), "{id:?} is what the server hands out, and is gone");
                if now.since(created).max(created.since(now)) <= MAX_PREKEY_AGE_MS {
                    world.handed_out.insert(id, now);
                }
            }
            for (id, at) in &world.handed_out {
                let under_way = now.since(*at) <= KEEP_MS;
                prop_assert!(!under_way || world.private.contains_key(id), "{id:?} was handed out at {at:?}, now {now:?}");
            }
            prop_assert!(world.rotation.made().len() <= MAX_MADE);
        }
    }
}
