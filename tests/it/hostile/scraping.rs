//! Scrapers in a loop: the metrics are made once a second, however many ask, and requests are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use tokio::net::TcpStream;

use crate::service::{Service, exchange};

const SCRAPERS: usize = 32;
const ENCODED: &str = "berth_metrics_encoded_total ";

#[tokio::test(flavor = "multi_thread")]
async fn scrapers_in_a_loop_share_what_is_made_once_a_second_and_reviews_are_answered() {
    let service = Service::start("").await;
    let begun = Instant::now();
    let is_over = Arc::new(AtomicBool::new(false));
    let latest = Arc::new(AtomicU64::new(0));
    let scrapers = (0..SCRAPERS).map(|_| {
        let admin = service.running.admin;
        let (is_over, latest) = (Arc::clone(&is_over), Arc::clone(&latest));
        tokio::spawn(async move {
            let head = "GET /metrics HTTP/1.1\r\nHost: berth\r\nConnection: close\r\n\r\n";
            let mut scraped = 0;
            while !is_over.load(Relaxed) {
                let mut stream = TcpStream::connect(admin).await.unwrap();
                let answer = exchange(&mut stream, head, "").await;
                if answer.starts_with("HTTP/1.1 200 ") {
                    let encoded = answer.lines().find_map(|line| line.strip_prefix(ENCODED));
                    latest.fetch_max(encoded.unwrap().trim().parse().unwrap(), Relaxed);
                    scraped += 1;
                } else {
                    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
                }
            }
            scraped
        })
    });
    let scrapers: Vec<_> = scrapers.collect();
    for _ in 0..20 {
        service.good().await;
    }
    while latest.load(Relaxed) < 4 {
        service.good().await;
    }
    is_over.store(true, Relaxed);
    let mut scraped = 0;
    for scraper in scrapers {
        scraped += scraper.await.unwrap();
    }
    let encoded = service.metric(ENCODED).await;
    // One at the beginning, and one as each second is over.
    let most = begun.elapsed().as_secs_f64() + 1.0;
    assert!(encoded <= most, "{encoded} texts, {most} at most");
    // Each text went to several.
    assert!(f64::from(scraped) > encoded, "{scraped} of {encoded}");
    service.running.shut_down().await;
}
