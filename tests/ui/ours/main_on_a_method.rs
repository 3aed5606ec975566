struct Program;

impl Program {
    #[procession::main]
    fn main(&self) {}
}

fn main() {
    Program.main();
}
