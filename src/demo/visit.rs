//! Visits and their events: a customer puts tickets into the cart, goes to payment, pays, is
//! confirmed, or leaves before.

use std::collections::BTreeSet;
use std::rc::Rc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::dice::Dice;
use super::outline::{self, Clock, Outline};

/// A step of the funnel; each is a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Product,
    Cart,
    Payment,
    PostPurchase,
}

impl Stage {
    pub(super) const ALL: [Self; 4] =
        [Self::Product, Self::Cart, Self::Payment, Self::PostPurchase];

    pub(super) fn dataset(self) -> &'static str {
        super::BUCKETS[self as usize].0
    }

    pub(super) fn bucket(self) -> &'static str {
        super::BUCKETS[self as usize].1
    }

    pub(super) fn next(self) -> Option<Self> {
        match self {
            Self::Product => Some(Self::Cart),
            Self::Cart => Some(Self::Payment),
            Self::Payment => Some(Self::PostPurchase),
            Self::PostPurchase => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Device {
    Desktop,
    Mobile,
    Tablet,
}

impl Device {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Desktop => "Desktop",
            Self::Mobile => "Mobile",
            Self::Tablet => "Tablet",
        }
    }
}

/// How an event names its customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CustomerForm {
    /// `"userId": "123456"`
    Text,
    /// `"userId": 123456`
    Number,
    /// `"userId": null`
    Null,
    /// No `userId` at all.
    Absent,
}

/// What is sold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) adult_pence: u32,
}

const OFFERS: [Offer; 6] = [
    offer(
        "74274193-3484-3291-9483-237459299",
        "Manchester City Stadium Tour",
        3000,
    ),
    offer(
        "51930274-1182-7745-3310-118264035",
        "National Football Museum",
        1450,
    ),
    offer(
        "60318842-9057-2216-8841-530917726",
        "Musée des Beaux-Arts, Évening Opening",
        2175,
    ),
    offer(
        "38827105-6619-4032-1578-902613348",
        "Harbour Ship & Submarine Day",
        2650,
    ),
    offer(
        "90551367-2840-5593-6127-661038295",
        "Railway Workshop \u{2013} Steam Day",
        1800,
    ),
    offer(
        "27763019-8315-1964-7702-349905816",
        "Old Town Ghost Walk",
        1225,
    ),
];

const fn offer(id: &'static str, name: &'static str, adult_pence: u32) -> Offer {
    Offer {
        id,
        name,
        adult_pence,
    }
}

/// Tickets for one thing on one day.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) offer: Offer,
    pub(super) ticket_day: NaiveDate,
    pub(super) ticket_hour: u32,
    pub(super) adults: u32,
    pub(super) children: u32,
    pub(super) seniors: u32,
    pub(super) voucher: bool,
    pub(super) for_someone_else: bool,
    pub(super) insurance: Insurance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Insurance {
    None,
    /// Its price is written `5`.
    Basic,
    /// Its price is written `7.50`.
    Full,
}

impl Item {
    /// A price after the voucher's tenth, if one was used.
    pub(super) fn discounted(&self, pence: u32) -> u32 {
        if self.voucher { pence * 9 / 10 } else { pence }
    }

    /// The price of a ticket for a child or a senior.
    pub(super) fn reduced_pence(&self) -> u32 {
        self.offer.adult_pence / 2
    }

    pub(super) fn quantity(&self) -> u32 {
        self.adults + self.children + self.seniors
    }

    pub(super) fn total_pence(&self) -> u32 {
        self.adults * self.offer.adult_pence + (self.children + self.seniors) * self.reduced_pence()
    }

    pub(super) fn discounted_total_pence(&self) -> u32 {
        self.adults * self.discounted(self.offer.adult_pence)
            + (self.children + self.seniors) * self.discounted(self.reduced_pence())
    }
}

/// One session of one customer, with the ids that hold its events together.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) customer: String,
    /// Tells visits apart.
    pub(super) session_id: String,
    pub(super) cart_id: String,
    pub(super) payment_id: String,
    pub(super) receipt_id: String,
    /// Five digits of the download link.
    pub(super) ticket: u32,
    pub(super) payment_method: &'static str,
    /// At least one.
    pub(super) items: Vec<Item>,
    /// The Kafka partition, in each topic, that its session id leads to.
    pub(super) partition: u32,
}

impl Visit {
    /// What the visit comes to in the end.
    pub(super) fn total_pence(&self) -> u32 {
        self.items.iter().map(Item::discounted_total_pence).sum()
    }
}

/// Something that happened, and when the consumer got to know.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) visit: Rc<Visit>,
    pub(super) stage: Stage,
    pub(super) time: DateTime<Utc>,
    /// Whether the time is written with milliseconds.
    pub(super) with_milliseconds: bool,
    pub(super) arrival: DateTime<Utc>,
    pub(super) form: CustomerForm,
    /// The device that the customer uses; only product and cart messages tell.
    pub(super) device: Device,
}

impl Event {
    pub(super) fn date(&self) -> NaiveDate {
        self.time.date_naive()
    }

    pub(super) fn is_of(&self, customer: &str) -> bool {
        self.visit.customer == customer
    }

    /// The device type that the message itself carries.
    pub(super) fn told_device(&self) -> Option<Device> {
        match self.stage {
            Stage::Product | Stage::Cart => Some(self.device),
            Stage::Payment | Stage::PostPurchase => None,
        }
    }
}

/// Exactly `count` events, the scripted ones first.
pub(super) fn events(count: usize, clock: &Clock, dice: &mut Dice) -> Vec<Event> {
    let customers = customers((count / 12).clamp(50, 200_000), dice);
    let mut events = Vec::with_capacity(count + 8);
    for outline in outline::scripted(clock, &customers[0]) {
        walk(&outline, clock, &mut events, dice);
    }
    while events.len() < count {
        let outline = outline::drawn(clock, &customers, dice);
        walk(&outline, clock, &mut events, dice);
    }
    events.truncate(count);
    events
}

/// Different six-digit customer ids, none of them a named customer's.
fn customers(count: usize, dice: &mut Dice) -> Vec<String> {
    let mut known = BTreeSet::new();
    let mut customers = Vec::with_capacity(count);
    while customers.len() < count {
        let customer = stranger(dice);
        if known.insert(customer.clone()) {
            customers.push(customer);
        }
    }
    customers
}

/// The id of a customer who is not one of the named.
pub(super) fn stranger(dice: &mut Dice) -> String {
    dice.identifier([6])
}

/// Adds the events of one visit, in the order of their times, as far as they have arrived.
fn walk(outline: &Outline, clock: &Clock, events: &mut Vec<Event>, dice: &mut Dice) {
    let visit = Rc::new(visit(outline, dice));
    let mut time = outline.start;
    for stage in Stage::ALL {
        if stage > outline.last_stage {
            return;
        }
        time += way_to(stage, outline, dice);
        let mut event = event(&visit, stage, time, outline, dice);
        if event.arrival > clock.now {
            return;
        }
        events.push(event.clone());
        if !clicks_again(stage, outline, dice) {
            continue;
        }
        time += TimeDelta::seconds(i64::from(dice.between(3, 40)));
        let same_day = time.date_naive() == event.date();
        event.arrival += time - event.time;
        event.time = time;
        event.with_milliseconds = false;
        if outline.clicks_twice && same_day && event.form == CustomerForm::Text {
            event.form = CustomerForm::Number;
        }
        if event.arrival > clock.now {
            return;
        }
        events.push(event);
    }
}

fn clicks_again(stage: Stage, outline: &Outline, dice: &mut Dice) -> bool {
    if stage == Stage::PostPurchase {
        return false;
    }
    let percent = if stage == Stage::Product { 20 } else { 5 };
    outline.clicks_twice || dice.chance(percent)
}

/// The time from the stage before to this one.
fn way_to(stage: Stage, outline: &Outline, dice: &mut Dice) -> TimeDelta {
    let (low, high) = match stage {
        Stage::Product => return TimeDelta::zero(),
        Stage::Cart | Stage::Payment => (60, 600),
        Stage::PostPurchase => (15, 180),
    };
    let mut seconds = dice.between(low, high);
    if outline.later_device == Device::Mobile {
        seconds += seconds / 2;
    }
    let way = TimeDelta::seconds(i64::from(seconds));
    if stage == Stage::Payment {
        return way + outline.hesitation;
    }
    way
}

fn event(
    visit: &Rc<Visit>,
    stage: Stage,
    time: DateTime<Utc>,
    outline: &Outline,
    dice: &mut Dice,
) -> Event {
    // A scripted first event is at its very second.
    let with_milliseconds = time != outline.start && dice.chance(5);
    let milliseconds = if with_milliseconds {
        dice.below(1000)
    } else {
        0
    };
    let time = time - TimeDelta::milliseconds(i64::from(milliseconds));
    let (form, device) = match stage {
        Stage::Product => (outline.first_form, outline.device),
        _ => (CustomerForm::Text, outline.later_device),
    };
    Event {
        visit: Rc::clone(visit),
        stage,
        time,
        with_milliseconds,
        arrival: time + outline.delay,
        form,
        device,
    }
}

/// The lasting facts of a visit. Its ids have so many digits that no two visits get the same.
fn visit(outline: &Outline, dice: &mut Dice) -> Visit {
    let session_id = dice.identifier([8, 4, 4, 4, 8]);
    let mut items = vec![item(outline, dice)];
    if dice.chance(15) {
        items.push(item(outline, dice));
    }
    Visit {
        customer: outline.customer.clone(),
        session_id,
        cart_id: dice.identifier([7, 4, 4, 4, 8]),
        payment_id: dice.identifier([8, 4, 4, 4, 8]),
        receipt_id: dice.identifier([8, 4, 4, 4, 9]),
        ticket: dice.between(10_000, 99_999),
        payment_method: dice.pick([
            "CreditCard",
            "CreditCard",
            "DebitCard",
            "PayPal",
            "ApplePay",
        ]),
        items,
        partition: dice.below(super::partition::PARTITIONS),
    }
}

/// The visit of a record that will be broken: it has no events but that one.
pub(super) fn lone_event(customer: &str, like: &Event, dice: &mut Dice) -> Event {
    let outline = Outline::booking(customer, like.arrival).arriving(like.arrival);
    let visit = Rc::new(visit(&outline, dice));
    event(&visit, like.stage, like.arrival, &outline, dice)
}

fn item(outline: &Outline, dice: &mut Dice) -> Item {
    let days_ahead = i64::from(dice.between(1, 60));
    Item {
        offer: dice.pick(OFFERS),
        ticket_day: outline.start.date_naive() + TimeDelta::days(days_ahead),
        ticket_hour: dice.between(9, 17),
        adults: dice.between(1, 4),
        children: if dice.chance(25) {
            dice.between(1, 3)
        } else {
            0
        },
        seniors: if dice.chance(10) {
            dice.between(1, 2)
        } else {
            0
        },
        voucher: dice.chance(15),
        for_someone_else: dice.chance(10),
        insurance: dice.pick([
            Insurance::None,
            Insurance::None,
            Insurance::Basic,
            Insurance::Full,
        ]),
    }
}
