//! A million posts that wait for their time: what they cost everybody else, and the disk.

use so_testkit::figures::{Ask, Goal};

use crate::{
    client::Client,
    fill::PostFill,
    ground::Ground,
    growth::Bursts,
    loopback::Loopback,
    pages::{TEXT, scheduled_post},
    product::Product,
};

pub async fn measure(ask: &Ask, ground: &Ground) {
    let teller = ground.teller("scheduled");
    let sink = Loopback::sink().await;
    let product = Product::start(ground, sink.port).await;
    let desk = product.register().await;
    let hook = product.workload(&desk, sink.port).await;
    let mut client = Client::connect(product.port).await;
    let post = scheduled_post(&mut client, &desk).await;
    let mut bursts = Bursts::new(ask);
    let hooks = [hook];
    let without = bursts.median(&product, &hooks, &sink).await;
    product.end().await;

    let posts = PostFill {
        post,
        total: ask.size(1_000_000, 10_000),
        common_label: String::new(),
        rare_label: String::new(),
        all_scheduled: true,
    };
    let store = ground.store().await;
    let before = ground.database_bytes(&store).await;
    posts.copy(&store).await;
    let each = (ground.database_bytes(&store).await - before) / posts.total as f64;
    store.close().await.unwrap();
    let product = Product::start(ground, sink.port).await;
    let with = bursts.median(&product, &hooks, &sink).await;
    teller.tell("events per s without them", without, "1/s", Goal::None);
    teller.tell("events per s with them", with, "1/s", Goal::None);
    let name = "events per s with them, against without";
    teller.tell(name, with / without, "times", Goal::AtLeast(0.95));
    teller.tell("a scheduled post on disk", each, "B", Goal::None);
    let name = "a scheduled post on disk beyond what was written";
    teller.tell(name, each - TEXT.len() as f64, "B", Goal::AtMost(1_000.0));
    teller.tell("memory with them", product.memory(), "MB", Goal::None);
}
