
pub mod feed;
