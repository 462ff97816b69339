//! Messages in the shape in which the services publish them.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::framed;
use crate::decode::{
    Json, NewFields, SchemaRules, fingerprint, learn, rebuild, semantically_equal, to_batch,
};

const MESSAGES: &str = r#"{
    "eventType": "ProceedtoPaymentClicked",
    "timestamp": "2024-08-14T14:00:00Z",
    "userId": "111222",
    "items": [
        {
            "itemType": "EntryTicket",
            "itemId": "11111111-2222-3333-4444-555555555",
            "ticketDate": "2024-09-06T10:00:00",
            "totalPrice": 60.00,
            "totalQuantity": 2,
            "isInsuranceAdded": "True",
            "adultTickets": {
                "quantity": 2,
                "price": 30.00
            },
            "childrenTickets": {},
            "elderlyTickets": {},
            "insuranceDetails": {
                "type": "Theft Protection",
                "price": 5,
                "currency": "GBP"
            }
        }
    ],
    "deviceDetails": {
        "deviceType": "Desktop",
        "browser": "Chrome"
    }
}
{
    "eventType": "PaymentSuccess",
    "timestamp": "2024-08-14T14:36:30Z",
    "userId": "111222",
    "totalAmount": 60.00,
    "currency": "GB",
    "orderDetails": {
        "orderDate": "2024-08-14",
        "downloadLink": "https://example.com/download/ticket"
    }
}
{
    "eventType": "ProceedPaymentClicked",
    "timestamp": "2024-08-14T14:30:00Z",
    "totalAmount": 60.00,
    "currency": "GBP",
    "paymentMethod": "CreditCard"
}
{
    "eventType": "AddToCartClicked",
    "timestamp": "2024-08-14T14:00:00Z",
    "items": [
        {
            "adultTickets": {
                "quantity": 2,
                "price": 30.00,
                "currency": "GBP"
            },
            "childrenTickets": {},
            "specialDiscountTickets": {}
        }
    ]
}"#;

#[test]
fn messages_come_back_and_their_items_are_in_columns() {
    let events: Vec<Json> = framed(MESSAGES.as_bytes())
        .into_iter()
        .map(|record| record.content.unwrap())
        .collect();
    assert_eq!(events.len(), 4);
    let rules = SchemaRules {
        on_new_field: NewFields::Add,
        max_columns: 1000,
        types: BTreeMap::new(),
        identifying: BTreeSet::new(),
    };
    let learned = learn(None, events.iter(), &rules);
    let batch = to_batch(&learned.schema, &events.iter().collect::<Vec<_>>()).unwrap();
    for (row, event) in events.iter().enumerate() {
        let rebuilt = rebuild(&batch, row).unwrap();
        assert!(semantically_equal(&rebuilt, event));
        assert_eq!(fingerprint(&rebuilt), fingerprint(event));
    }

    let rescued: Vec<_> = batch
        .column_by_name("_rescued")
        .unwrap()
        .as_string::<i32>()
        .iter()
        .collect();
    assert_eq!(
        rescued,
        [
            Some(r#"{"/items/0/childrenTickets":[{}],"/items/0/elderlyTickets":[{}]}"#),
            None,
            None,
            Some(r#"{"/items/0/childrenTickets":[{}],"/items/0/specialDiscountTickets":[{}]}"#),
        ]
    );
    let items = batch.column_by_name("items").unwrap().as_list::<i32>();
    let first = items.value(0);
    let item = first.as_struct();
    let prices: Vec<_> = item
        .column_by_name("totalPrice")
        .unwrap()
        .as_primitive::<Float64Type>()
        .iter()
        .collect();
    assert_eq!(prices, [Some(60.0)]);
    assert_eq!(
        item.column_by_name("totalQuantity")
            .unwrap()
            .as_primitive::<Int64Type>()
            .value(0),
        2
    );
    assert_eq!(
        item.column_by_name("isInsuranceAdded")
            .unwrap()
            .as_string::<i32>()
            .value(0),
        "True"
    );
    assert!(item.column_by_name("childrenTickets").is_none());
    let insurance = item.column_by_name("insuranceDetails").unwrap().as_struct();
    assert_eq!(
        insurance.column_by_name("price").unwrap().data_type(),
        &DataType::Int64
    );
}
