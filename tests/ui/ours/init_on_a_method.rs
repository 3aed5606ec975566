struct Logger;

impl Logger {
    #[procession::init]
    fn setup(&self) {}
}

fn main() {
    Logger.setup();
}
