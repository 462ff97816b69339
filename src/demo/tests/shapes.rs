//! Messages and funnel rows against what was written by hand.

use std::rc::Rc;

use super::super::document::Spacing;
use super::super::visit::{CustomerForm, Device, Event, Insurance, Item, Offer, Stage, Visit};
use super::super::{SUBJECT_SAMPLE, funnel, message};
use super::{day, moment};

fn visit(customer: &str, session_id: &str) -> Visit {
    Visit {
        customer: customer.to_owned(),
        session_id: session_id.to_owned(),
        cart_id: "2347582-3848-2382-2224-27402848".to_owned(),
        payment_id: "48294838-3844-4384-3474-93473923".to_owned(),
        receipt_id: "43859492-4854-4843-2111-482000095".to_owned(),
        ticket: 56789,
        payment_method: "CreditCard",
        items: vec![Item {
            offer: Offer {
                id: "74274193-3484-3291-9483-237459299",
                name: "Manchester City Stadium Tour",
                adult_pence: 3000,
            },
            ticket_day: day("2024-09-06"),
            ticket_hour: 10,
            adults: 2,
            children: 0,
            seniors: 0,
            voucher: false,
            for_someone_else: false,
            insurance: Insurance::Basic,
        }],
        partition: 0,
    }
}

fn event(visit: &Rc<Visit>, stage: Stage, time: &str) -> Event {
    Event {
        visit: Rc::clone(visit),
        stage,
        time: moment(time),
        with_milliseconds: false,
        arrival: moment(time),
        form: CustomerForm::Text,
        device: Device::Desktop,
    }
}

fn sample(stage: Stage, time: &str) -> String {
    let visit = Rc::new(visit(SUBJECT_SAMPLE, "18474813-3844-2485-3714-84204857"));
    message::text(&event(&visit, stage, time), Spacing::Pretty)
}

#[test]
fn product_messages_are_as_published() {
    assert_eq!(sample(Stage::Product, "2024-08-14T14:00:00Z"), PRODUCT);
}

#[test]
fn cart_messages_are_as_published() {
    assert_eq!(sample(Stage::Cart, "2024-08-14T14:00:00Z"), CART);
}

#[test]
fn payment_messages_are_as_published() {
    assert_eq!(sample(Stage::Payment, "2024-08-14T14:30:00Z"), PAYMENT);
}

#[test]
fn confirmations_are_as_published() {
    assert_eq!(
        sample(Stage::PostPurchase, "2024-08-14T14:36:30Z"),
        CONFIRMATION
    );
}

#[test]
fn a_message_on_one_line_differs_in_white_space_only() {
    let visit = Rc::new(visit(SUBJECT_SAMPLE, "18474813-3844-2485-3714-84204857"));
    let cart = event(&visit, Stage::Cart, "2024-08-14T14:00:00Z");
    let line = message::text(&cart, Spacing::Line);
    let without_space = |text: &str| text.replace(char::is_whitespace, "");
    assert_eq!(without_space(&line), without_space(CART));
    assert!(!line.contains('\n'));
    assert!(line.starts_with(r#"{"eventType": "ProceedtoPaymentClicked", "timestamp": "#));
}

#[test]
fn customers_are_named_in_four_forms() {
    let visit = Rc::new(visit("123456", "one"));
    let mut paid = event(&visit, Stage::Payment, "2024-08-14T14:30:00.250Z");
    paid.with_milliseconds = true;
    let start =
        r#"{"eventType": "ProceedPaymentClicked", "timestamp": "2024-08-14T14:30:00.250Z", "#;
    let forms = [
        (
            CustomerForm::Text,
            r#""userId": "123456", "sessionId": "one""#,
        ),
        (
            CustomerForm::Number,
            r#""userId": 123456, "sessionId": "one""#,
        ),
        (CustomerForm::Null, r#""userId": null, "sessionId": "one""#),
        (CustomerForm::Absent, r#""sessionId": "one""#),
    ];
    for (form, expected) in forms {
        paid.form = form;
        let text = message::text(&paid, Spacing::Line);
        assert!(text.starts_with(&format!("{start}{expected}")), "{text}");
    }
}

#[test]
fn reduced_tickets_vouchers_and_insurance_show_in_the_cart() {
    let mut visit = visit("123456", "one");
    visit.items[0].children = 1;
    visit.items[0].voucher = true;
    visit.items[0].insurance = Insurance::Full;
    let text = message::text(
        &event(&Rc::new(visit), Stage::Cart, "2024-08-14T14:00:00Z"),
        Spacing::Line,
    );
    for part in [
        r#""totalPrice": 75.00, "totalDiscountedPrice": 67.50, "totalQuantity": 3, "totalLoyaltyPoints": 1250"#,
        r#""isVoucherCodeUsed": "True""#,
        r#""childrenTickets": {"quantity": 1, "price": 15.00, "discountedPrice": 13.50, "childrenTotalLoyaltyPoints": 250}"#,
        r#""elderlyTickets": {}, "specialDiscountTickets": {}, "specialRequest": {}"#,
        r#""price": 7.50"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// Two sessions of one customer on one day, one of them over midnight and with two devices, and
/// a session whose payment alone is left of it.
#[test]
fn the_funnel_of_a_handful_of_events() {
    let first = Rc::new(visit("111111", "first"));
    let second = Rc::new(visit("111111", "second"));
    let third = Rc::new(visit("222222", "third"));
    let mut nameless = event(&third, Stage::Product, "2026-05-01T09:00:00Z");
    nameless.form = CustomerForm::Absent;
    let mut on_tablet = event(&second, Stage::Product, "2026-05-01T23:00:00Z");
    on_tablet.device = Device::Tablet;
    let mut on_mobile = event(&second, Stage::Cart, "2026-05-01T23:10:00Z");
    on_mobile.device = Device::Mobile;
    let events = [
        event(&first, Stage::Product, "2026-05-01T10:00:00Z"),
        event(&first, Stage::Product, "2026-05-01T10:00:20Z"),
        event(&first, Stage::Cart, "2026-05-01T10:05:00Z"),
        nameless,
        on_tablet,
        on_mobile,
        event(&second, Stage::Payment, "2026-05-01T23:50:00Z"),
        event(&second, Stage::PostPurchase, "2026-05-02T00:00:00Z"),
    ];
    let rows = funnel::rows(&events.iter().collect::<Vec<_>>());
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let day = row.event_date.to_string();
            (
                day,
                row.stage,
                row.device_type,
                row.users,
                row.sessions,
                row.drop_off,
            )
        })
        .collect();
    let on = |day: &str| format!("2026-05-0{day}");
    assert_eq!(
        rows,
        [
            (on("1"), "product", "Desktop", 1, 2, Some(0.5)),
            (on("1"), "product", "Tablet", 1, 1, Some(0.0)),
            (on("1"), "cart", "Desktop", 1, 1, Some(1.0)),
            (on("1"), "cart", "Mobile", 1, 1, Some(0.0)),
            (on("1"), "payment", "Mobile", 1, 1, Some(1.0)),
            (on("2"), "post_purchase", "Unknown", 1, 1, None),
        ]
    );
}

const PRODUCT: &str = r#"{
    "eventType": "AddToCartClicked",
    "timestamp": "2024-08-14T14:00:00Z",
    "userId": "789456",
    "sessionId": "18474813-3844-2485-3714-84204857",
    "items": [
        {
            "itemType": "EntryTicket",
            "itemId": "74274193-3484-3291-9483-237459299",
            "itemName": "Manchester City Stadium Tour",
            "ticketDate": "2024-09-06T10:00:00",
            "adultTickets": {
                "quantity": 2,
                "price": 30.00,
                "currency": "GBP",
                "discountedPrice": 30.00,
                "adultTotalLoyaltyPoints": 1000
            },
            "childrenTickets": {},
            "elderlyTickets": {},
            "specialDiscountTickets": {}
        }
    ],
    "deviceDetails": {
        "deviceType": "Desktop",
        "operatingSystem": "Windows 10",
        "browser": "Chrome"
    }
}"#;

const CART: &str = r#"{
    "eventType": "ProceedtoPaymentClicked",
    "timestamp": "2024-08-14T14:00:00Z",
    "userId": "789456",
    "sessionId": "18474813-3844-2485-3714-84204857",
    "cartId": "2347582-3848-2382-2224-27402848",
    "items": [
        {
            "itemType": "EntryTicket",
            "itemId": "74274193-3484-3291-9483-237459299",
            "itemName": "Manchester City Stadium Tour",
            "ticketDate": "2024-09-06T10:00:00",
            "totalPrice": 60.00,
            "totalDiscountedPrice": 60.00,
            "totalQuantity": 2,
            "totalLoyaltyPoints": 1000,
            "currency": "GBP",
            "isBookingforSomeoneElse": "False",
            "isVoucherCodeUsed": "False",
            "adultTickets": {
                "quantity": 2,
                "price": 30.00,
                "discountedPrice": 30.00,
                "adultTotalLoyaltyPoints": 1000
            },
            "childrenTickets": {},
            "elderlyTickets": {},
            "specialDiscountTickets": {},
            "specialRequest": {},
            "isInsuranceAdded": "True",
            "insuranceDetails": {
                "type": "Personal Accident and Theft Protection",
                "price": 5,
                "currency": "GBP"
            }
        }
    ],
    "deviceDetails": {
        "deviceType": "Desktop",
        "operatingSystem": "Windows 10",
        "browser": "Chrome"
    }
}"#;

const PAYMENT: &str = r#"{
    "eventType": "ProceedPaymentClicked",
    "timestamp": "2024-08-14T14:30:00Z",
    "userId": "789456",
    "sessionId": "18474813-3844-2485-3714-84204857",
    "cartId": "2347582-3848-2382-2224-27402848",
    "paymentId": "48294838-3844-4384-3474-93473923",
    "totalAmount": 60.00,
    "currency": "GBP",
    "paymentMethod": "CreditCard"
}"#;

const CONFIRMATION: &str = r#"{
    "eventType": "PaymentSuccess",
    "timestamp": "2024-08-14T14:36:30Z",
    "userId": "789456",
    "sessionId": "18474813-3844-2485-3714-84204857",
    "cartId": "2347582-3848-2382-2224-27402848",
    "paymentId": "48294838-3844-4384-3474-93473923",
    "totalAmount": 60.00,
    "currency": "GB",
    "receiptId": "43859492-4854-4843-2111-482000095",
    "orderDetails": {
        "orderDate": "2024-08-14",
        "orderStatus": "Confirmed",
        "downloadLink": "https://loremipsum.com/download/ticket/ticket56789"
    }
}"#;
