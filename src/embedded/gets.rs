//! GET requests: how many are under way at once, and the wait that a distant S3 would add to each.
//!
//! A measurement of how requests overlap needs a server that takes its time. The wait holds for every GET,
//! listings included, and occupies nothing while it lasts.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The GETs of one server.
#[derive(Debug, Default)]
pub struct Gets {
    delay: Duration,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Gets {
    /// GETs that each begin their answer `delay` later than they could.
    pub fn delayed_by(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// The most GETs whose answers had not begun, at any one time.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::Relaxed)
    }

    /// Carries out a request of this method.
    pub async fn carry_out<T>(&self, method: &str, answer: impl Future<Output = T>) -> T {
        if method != "GET" {
            return answer.await;
        }
        let _under_way = UnderWay::begin(self);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        answer.await
    }
}

/// One GET; a client that hangs up ends it too.
struct UnderWay<'a>(&'a Gets);

impl<'a> UnderWay<'a> {
    fn begin(gets: &'a Gets) -> Self {
        let count = gets.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        gets.most_at_once.fetch_max(count, Ordering::Relaxed);
        Self(gets)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::{join, pending, ready};

    #[tokio::test]
    async fn gets_overlap_and_wait_side_by_side() {
        let gets = Gets::delayed_by(Duration::from_millis(5));
        let one = gets.carry_out("GET", ready(1));
        let other = gets.carry_out("GET", ready(2));
        assert_eq!(join(one, other).await, (1, 2));
        assert_eq!(gets.most_at_once(), 2);
        assert_eq!(gets.carry_out("GET", ready(3)).await, 3);
        assert_eq!(gets.most_at_once(), 2);
    }

    #[tokio::test]
    async fn only_gets_wait() {
        let gets = Gets::delayed_by(Duration::from_hours(1));
        assert_eq!(gets.carry_out("PUT", ready(1)).now_or_never(), Some(1));
        assert_eq!(gets.carry_out("GET", ready(1)).now_or_never(), None);
        assert_eq!(gets.most_at_once(), 1);
    }

    #[tokio::test]
    async fn a_get_that_is_given_up_is_not_under_way() {
        let gets = Gets::default();
        for _ in 0..3 {
            let given_up = gets.carry_out("GET", pending::<()>()).now_or_never();
            assert_eq!(given_up, None);
        }
        assert_eq!(gets.most_at_once(), 1);
    }
}
