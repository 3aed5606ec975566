mod parse {
    #[procession::process]
    pub fn parse(seconds: u64) -> u64 {
        seconds
    }
}
use parse::parse;

fn main() {
    assert_eq!(parse(1), 1);
}
