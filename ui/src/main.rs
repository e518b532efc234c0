//! The page's entry: everything is in the library, so that its pure parts are tested without a browser.

fn main() {
    so_ui::start();
}
