//! What the product costs before anything happens: its size, its start, its folder.

use std::time::Duration;

use so_testkit::figures::{Ask, Goal, millis, percentiles};

use crate::{
    ground::Ground,
    loopback::Loopback,
    machine,
    product::{Product, program},
};

/// Starts on a folder that is there, of which the median is taken.
const STARTS: usize = 7;
/// Between the start and the look at the memory.
const REST: Duration = Duration::from_secs(2);

pub async fn measure(ask: &Ask, ground: &Ground) {
    let teller = ground.teller("start");
    let sink = Loopback::sink().await;
    let product = Product::start(ground, sink.port).await;
    let first = product.started_in;
    product.register().await;
    product.end().await;
    let folder = machine::folder_bytes(&ground.data()) as f64 / 1e6;
    let mut times = Vec::new();
    let mut memory = 0.0;
    for n in 0..ask.size(STARTS, 2) {
        let product = Product::start(ground, sink.port).await;
        times.push(product.started_in);
        if n == 0 {
            tokio::time::sleep(REST).await;
            memory = product.memory();
        }
        product.end().await;
    }
    let (again, _) = percentiles(times).unwrap();
    let goal = Goal::AtMost(250.0);
    teller.tell("start to first answer", millis(again), "ms", goal);
    teller.tell(
        "the very first start, schema included",
        millis(first),
        "ms",
        Goal::None,
    );
    teller.tell("memory after the start", memory, "MB", Goal::AtMost(40.0));
    if ground.database == "sqlite" {
        let goal = Goal::AtMost(2.0);
        teller.tell("data folder of an empty workspace", folder, "MB", goal);
        let binary = std::fs::metadata(program()).unwrap();
        let size = binary.len() as f64 / 1e6;
        teller.tell("binary", size, "MB", Goal::AtMost(40.0));
    }
}
