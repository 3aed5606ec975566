struct Program;

impl Program {
    #[procession::init]
    fn setup() {}
}

fn main() {
    Program::setup();
}
