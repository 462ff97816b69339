-- Where bookings drop off: users and sessions per stage, device type and day (UTC), and the share of a
-- stage's sessions that did not reach the next stage on the same day.
--
-- Payment and post-purchase events carry no device: theirs is that of the same session on the same day
-- (the first in alphabetical order, if it used several), else Unknown. A user id that did not fit its column
-- (a number, say, where all others are text) is in _rescued, and is not counted among the users.
WITH events AS (
    SELECT event_date, 1 AS position, 'product' AS stage, userId, sessionId, deviceDetails['deviceType'] AS own_device FROM product WHERE eventType = 'AddToCartClicked'
    UNION ALL
    SELECT event_date, 2, 'cart', userId, sessionId, deviceDetails['deviceType'] FROM cart WHERE eventType = 'ProceedtoPaymentClicked'
    UNION ALL
    SELECT event_date, 3, 'payment', userId, sessionId, CAST(NULL AS VARCHAR) FROM payment WHERE eventType = 'ProceedPaymentClicked'
    UNION ALL
    SELECT event_date, 4, 'post_purchase', userId, sessionId, CAST(NULL AS VARCHAR) FROM post_purchase WHERE eventType = 'PaymentSuccess'
),
devices AS (
    SELECT event_date, sessionId, min(own_device) AS session_device
    FROM events
    WHERE own_device IS NOT NULL
    GROUP BY event_date, sessionId
),
visits AS (
    SELECT
        events.event_date, position, stage, userId, events.sessionId,
        coalesce(own_device, session_device, 'Unknown') AS device_type
    FROM events
    LEFT JOIN devices
        ON devices.event_date = events.event_date AND devices.sessionId = events.sessionId
),
reached AS (
    SELECT DISTINCT event_date, sessionId, position FROM events
),
sessions AS (
    SELECT DISTINCT
        visits.event_date, visits.position, visits.stage, visits.device_type, visits.sessionId,
        CASE WHEN reached.sessionId IS NULL THEN 1.0 ELSE 0.0 END AS dropped
    FROM visits
    LEFT JOIN reached
        ON reached.event_date = visits.event_date
        AND reached.sessionId = visits.sessionId
        AND reached.position = visits.position + 1
    WHERE visits.sessionId IS NOT NULL
),
dropped AS (
    SELECT event_date, position, device_type, count(*) AS sessions, avg(dropped) AS drop_off
    FROM sessions
    GROUP BY event_date, position, device_type
),
counted AS (
    SELECT event_date, position, stage, device_type, count(DISTINCT userId) AS users
    FROM visits
    GROUP BY event_date, position, stage, device_type
)
SELECT
    counted.event_date,
    counted.stage,
    counted.position AS stage_position,
    counted.device_type,
    counted.users,
    coalesce(dropped.sessions, 0) AS sessions,
    CASE WHEN counted.position < 4 THEN dropped.drop_off END AS drop_off
FROM counted
LEFT JOIN dropped
    ON dropped.event_date = counted.event_date
    AND dropped.position = counted.position
    AND dropped.device_type = counted.device_type
