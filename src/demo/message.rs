//! The text of a message, field by field as the four services publish theirs, oddities included:
//! always-empty structs, yes and no as texts, `5` beside `60.00`, ticket dates without a zone, and
//! the confirmation's `"currency": "GB"`.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};

use super::document::{Document, Spacing};
use super::visit::{CustomerForm, Device, Event, Insurance, Item, Stage, Visit};

/// The event as JSON text.
pub(super) fn text(event: &Event, spacing: Spacing) -> String {
    Document::write(spacing, |message| {
        message.text("eventType", event_type(event.stage));
        message.text("timestamp", zulu(event.time, event.with_milliseconds));
        customer(message, event);
        message.text("sessionId", &event.visit.session_id);
        match event.stage {
            Stage::Product => product(message, event),
            Stage::Cart => cart(message, event),
            Stage::Payment => payment(message, &event.visit),
            Stage::PostPurchase => confirmation(message, event),
        }
    })
}

fn event_type(stage: Stage) -> &'static str {
    match stage {
        Stage::Product => "AddToCartClicked",
        Stage::Cart => "ProceedtoPaymentClicked",
        Stage::Payment => "ProceedPaymentClicked",
        Stage::PostPurchase => "PaymentSuccess",
    }
}

fn customer(message: &mut Document, event: &Event) {
    match event.form {
        CustomerForm::Text => message.text("userId", &event.visit.customer),
        CustomerForm::Number => message.bare("userId", &event.visit.customer),
        CustomerForm::Null => message.bare("userId", "null"),
        CustomerForm::Absent => {}
    }
}

fn product(message: &mut Document, event: &Event) {
    message.list("items", &event.visit.items, |entry, item| {
        ticket(entry, item);
        entry.object("adultTickets", |tickets| {
            tickets.bare("quantity", item.adults);
            tickets.money("price", item.offer.adult_pence);
            tickets.text("currency", "GBP");
            tickets.money("discountedPrice", item.discounted(item.offer.adult_pence));
            tickets.bare("adultTotalLoyaltyPoints", item.adults * 500);
        });
        reduced_tickets(entry, item);
    });
    device(message, event);
}

fn cart(message: &mut Document, event: &Event) {
    message.text("cartId", &event.visit.cart_id);
    message.list("items", &event.visit.items, |entry, item| {
        ticket(entry, item);
        entry.money("totalPrice", item.total_pence());
        entry.money("totalDiscountedPrice", item.discounted_total_pence());
        entry.bare("totalQuantity", item.quantity());
        entry.bare(
            "totalLoyaltyPoints",
            item.adults * 500 + (item.children + item.seniors) * 250,
        );
        entry.text("currency", "GBP");
        entry.flag("isBookingforSomeoneElse", item.for_someone_else);
        entry.flag("isVoucherCodeUsed", item.voucher);
        entry.object("adultTickets", |tickets| {
            tickets.bare("quantity", item.adults);
            tickets.money("price", item.offer.adult_pence);
            tickets.money("discountedPrice", item.discounted(item.offer.adult_pence));
            tickets.bare("adultTotalLoyaltyPoints", item.adults * 500);
        });
        reduced_tickets(entry, item);
        entry.object("specialRequest", |_| {});
        insurance(entry, item.insurance);
    });
    device(message, event);
}

fn payment(message: &mut Document, visit: &Visit) {
    message.text("cartId", &visit.cart_id);
    message.text("paymentId", &visit.payment_id);
    message.money("totalAmount", visit.total_pence());
    message.text("currency", "GBP");
    message.text("paymentMethod", visit.payment_method);
}

fn confirmation(message: &mut Document, event: &Event) {
    let visit = &event.visit;
    message.text("cartId", &visit.cart_id);
    message.text("paymentId", &visit.payment_id);
    message.money("totalAmount", visit.total_pence());
    message.text("currency", "GB");
    message.text("receiptId", &visit.receipt_id);
    message.object("orderDetails", |order| {
        order.text("orderDate", day(event.date()));
        order.text("orderStatus", "Confirmed");
        let link = format!(
            "https://loremipsum.com/download/ticket/ticket{}",
            visit.ticket
        );
        order.text("downloadLink", link);
    });
}

fn ticket(entry: &mut Document, item: &Item) {
    entry.text("itemType", "EntryTicket");
    entry.text("itemId", item.offer.id);
    entry.text("itemName", item.offer.name);
    let hour = item.ticket_hour;
    entry.text(
        "ticketDate",
        format_args!("{}T{hour:02}:00:00", day(item.ticket_day)),
    );
}

/// The tickets for less than the full price: `{}` where there are none.
fn reduced_tickets(entry: &mut Document, item: &Item) {
    let groups = [
        (
            "childrenTickets",
            "childrenTotalLoyaltyPoints",
            item.children,
        ),
        ("elderlyTickets", "elderlyTotalLoyaltyPoints", item.seniors),
        ("specialDiscountTickets", "", 0),
    ];
    for (name, points, quantity) in groups {
        entry.object(name, |tickets| {
            if quantity == 0 {
                return;
            }
            tickets.bare("quantity", quantity);
            tickets.money("price", item.reduced_pence());
            tickets.money("discountedPrice", item.discounted(item.reduced_pence()));
            tickets.bare(points, quantity * 250);
        });
    }
}

fn insurance(entry: &mut Document, insurance: Insurance) {
    entry.flag("isInsuranceAdded", insurance != Insurance::None);
    entry.object("insuranceDetails", |details| {
        let (kind, price) = match insurance {
            Insurance::None => return,
            Insurance::Basic => ("Personal Accident and Theft Protection", "5"),
            Insurance::Full => ("Personal Accident, Theft and Cancellation", "7.50"),
        };
        details.text("type", kind);
        details.bare("price", price);
        details.text("currency", "GBP");
    });
}

fn device(message: &mut Document, event: &Event) {
    let newer = event.visit.ticket.is_multiple_of(2);
    let (system, browser) = match (event.device, newer) {
        (Device::Desktop, false) => ("Windows 10", "Chrome"),
        (Device::Desktop, true) => ("macOS 14", "Safari"),
        (Device::Mobile, false) => ("Android 14", "Chrome"),
        (Device::Mobile, true) => ("iOS 17", "Safari"),
        (Device::Tablet, false) => ("Android 13", "Firefox"),
        (Device::Tablet, true) => ("iPadOS 17", "Safari"),
    };
    message.object("deviceDetails", |details| {
        details.text("deviceType", event.device.name());
        details.text("operatingSystem", system);
        details.text("browser", browser);
    });
}

/// A time in UTC as the services write it.
fn zulu(time: DateTime<Utc>, with_milliseconds: bool) -> String {
    let date = day(time.date_naive());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    if with_milliseconds {
        let milliseconds = time.timestamp_subsec_millis();
        return format!("{date}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z");
    }
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

fn day(date: NaiveDate) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}
