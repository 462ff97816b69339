//! Who comes when, and how far they get: the outlines of visits, before they are walked.
//!
//! A few visits are scripted, so that the smallest demo shows every case; the others are drawn.

use chrono::{DateTime, Months, NaiveDate, NaiveTime, SubsecRound, TimeDelta, Utc};

use super::dice::Dice;
use super::visit::{CustomerForm, Device, Stage};
use super::{SUBJECT_ERASED, SUBJECT_SAMPLE};

/// Events of ordinary visits begin this long before `now`.
const WINDOW_SECONDS: u32 = 10 * DAY_SECONDS;
const DAY_SECONDS: u32 = 24 * 60 * 60;
const HOUR_SECONDS: u32 = 60 * 60;

/// The moment that everything is told from.
pub(super) struct Clock {
    /// Whole seconds; nothing happens or arrives after it.
    pub(super) now: DateTime<Utc>,
    /// The day two calendar years ago: its events are kept, those of the day before are expired.
    pub(super) first_kept_day: NaiveDate,
}

impl Clock {
    pub(super) fn at(now: DateTime<Utc>) -> Self {
        let today = now.date_naive();
        Self {
            now: now.trunc_subsecs(0),
            first_kept_day: today
                .checked_sub_months(Months::new(24))
                .unwrap_or(NaiveDate::MIN),
        }
    }

    fn seconds_ago(&self, seconds: u32) -> DateTime<Utc> {
        self.now - TimeDelta::seconds(i64::from(seconds))
    }

    /// Midnight at the start of the day that lies `days` before the first kept one.
    fn before_first_kept_day(&self, days: i64) -> DateTime<Utc> {
        self.first_kept_day.and_time(NaiveTime::MIN).and_utc() - TimeDelta::days(days)
    }

    /// A moment of today, at most `seconds` ago.
    fn earlier_today(&self, seconds: u32) -> DateTime<Utc> {
        let midnight = self.now.date_naive().and_time(NaiveTime::MIN).and_utc();
        self.seconds_ago(seconds).max(midnight)
    }
}

/// What is settled about a visit before its events are told.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    pub(super) customer: String,
    pub(super) start: DateTime<Utc>,
    /// From an event to its arrival at the consumer.
    pub(super) delay: TimeDelta,
    pub(super) last_stage: Stage,
    pub(super) device: Device,
    /// The device from the cart on; mostly the same.
    pub(super) later_device: Device,
    /// How the product events, which may come before the log-in, name the customer.
    pub(super) first_form: CustomerForm,
    /// How long the customer thinks it over before paying, beyond the usual minutes.
    pub(super) hesitation: TimeDelta,
    /// Clicks twice at every stage but the last; the second time the `userId` is a number.
    pub(super) clicks_twice: bool,
}

impl Outline {
    /// A booking on a desktop from start to end, its events arriving at once.
    pub(super) fn booking(customer: &str, start: DateTime<Utc>) -> Self {
        Self {
            customer: customer.to_owned(),
            start,
            delay: TimeDelta::seconds(2),
            last_stage: Stage::PostPurchase,
            device: Device::Desktop,
            later_device: Device::Desktop,
            first_form: CustomerForm::Text,
            hesitation: TimeDelta::zero(),
            clicks_twice: false,
        }
    }

    /// The same, with its first event arriving at `arrival`.
    pub(super) fn arriving(mut self, arrival: DateTime<Utc>) -> Self {
        self.delay = arrival - self.start;
        self
    }
}

/// The visits that every demo holds, however small.
pub(super) fn scripted(clock: &Clock, stranger: &str) -> Vec<Outline> {
    let mut outlines = subject_visits(clock);
    outlines.extend(boundary_visits(clock, stranger));
    outlines.extend(special_visits(clock, stranger));
    outlines
}

fn subject_visits(clock: &Clock) -> Vec<Outline> {
    let mut outlines = Vec::new();
    for (turn, hours) in [3, 26, 50, 75, 120, 171, 200].into_iter().enumerate() {
        let mut erased = Outline::booking(SUBJECT_ERASED, clock.seconds_ago(hours * HOUR_SECONDS));
        erased.clicks_twice = turn % 2 == 1;
        let shifted = hours * HOUR_SECONDS + 40 * 60;
        let mut sample = Outline::booking(SUBJECT_SAMPLE, clock.seconds_ago(shifted));
        sample.clicks_twice = turn == 2;
        outlines.extend([erased, sample]);
    }
    let morning = TimeDelta::hours(10);
    for days in [1, 40] {
        let start = clock.before_first_kept_day(days) + morning;
        outlines.push(Outline::booking(SUBJECT_ERASED, start));
    }
    let start = clock.before_first_kept_day(9) + morning;
    let arrival = clock.earlier_today(2 * HOUR_SECONDS);
    outlines.push(Outline::booking(SUBJECT_ERASED, start).arriving(arrival));
    outlines
}

/// The first and the last second of the days on either side of the two-year line, and its noons.
fn boundary_visits(clock: &Clock, customer: &str) -> Vec<Outline> {
    let line = clock.before_first_kept_day(0);
    let starts = [
        line,
        line - TimeDelta::seconds(1),
        line + TimeDelta::hours(12),
        line - TimeDelta::hours(12),
        line - TimeDelta::hours(24),
    ];
    let late_today = Outline::booking(customer, line - TimeDelta::hours(11))
        .arriving(clock.earlier_today(2 * HOUR_SECONDS));
    let mut on_time = starts.map(|start| Outline::booking(customer, start));
    // The second click falls on the other side of the line.
    on_time[1].clicks_twice = true;
    on_time.into_iter().chain([late_today]).collect()
}

fn special_visits(clock: &Clock, customer: &str) -> Vec<Outline> {
    let days_ago = |days: u32| Outline::booking(customer, clock.seconds_ago(days * DAY_SECONDS));

    let mut before_login = days_ago(2);
    before_login.first_form = CustomerForm::Absent;
    before_login.clicks_twice = true;
    before_login.device = Device::Tablet;
    before_login.later_device = Device::Tablet;

    let mut without_name = days_ago(3);
    without_name.first_form = CustomerForm::Null;
    without_name.device = Device::Mobile;
    without_name.later_device = Device::Mobile;

    let mut changes_device = days_ago(4);
    changes_device.device = Device::Mobile;

    let mut number = days_ago(5);
    number.clicks_twice = true;

    let mut sleeps_on_it = days_ago(6);
    sleeps_on_it.hesitation = TimeDelta::hours(24);

    let late = days_ago(19).arriving(clock.seconds_ago(5 * HOUR_SECONDS));
    vec![
        before_login,
        without_name,
        changes_device,
        number,
        sleeps_on_it,
        late,
    ]
}

/// A visit like any other.
pub(super) fn drawn(clock: &Clock, customers: &[String], dice: &mut Dice) -> Outline {
    let customer = &customers[dice.position(customers.len())];
    let mut outline = Outline::booking(customer, clock.now);
    (outline.start, outline.delay) = drawn_times(clock, dice);
    outline.last_stage = match dice.below(100) {
        0..30 => Stage::PostPurchase,
        30..35 => Stage::Payment,
        35..55 => Stage::Cart,
        _ => Stage::Product,
    };
    outline.device = drawn_device(dice);
    outline.later_device = outline.device;
    if dice.chance(2) {
        outline.later_device = drawn_device(dice);
    }
    outline.first_form = match dice.below(100) {
        0..3 => CustomerForm::Absent,
        3 => CustomerForm::Null,
        _ => CustomerForm::Text,
    };
    if dice.chance(2) {
        outline.hesitation = seconds(dice.between(HOUR_SECONDS, 20 * HOUR_SECONDS));
    }
    outline.clicks_twice = dice.chance(2);
    outline
}

fn drawn_device(dice: &mut Dice) -> Device {
    match dice.below(10) {
        0..5 => Device::Mobile,
        5..9 => Device::Desktop,
        _ => Device::Tablet,
    }
}

/// Start and delay: of a hundred visits two are of two years ago, three arrive late.
fn drawn_times(clock: &Clock, dice: &mut Dice) -> (DateTime<Utc>, TimeDelta) {
    let at_once = seconds(dice.below(30));
    match dice.below(100) {
        0..2 => {
            let day = clock.before_first_kept_day(dice.pick([0, 1, 1, 2, 9, 40]));
            let start = day + seconds(dice.below(DAY_SECONDS));
            if dice.below(8) > 0 {
                return (start, at_once);
            }
            let arrival = clock.earlier_today(dice.below(6 * HOUR_SECONDS));
            (start, arrival - start)
        }
        2..5 => {
            let arrival = clock.seconds_ago(dice.below(WINDOW_SECONDS));
            let delay = seconds(dice.between(2 * DAY_SECONDS, 21 * DAY_SECONDS));
            (arrival - delay, delay)
        }
        _ => {
            let start = clock.seconds_ago(dice.below(WINDOW_SECONDS));
            (start, at_once)
        }
    }
}

fn seconds(count: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(count))
}
