use procession::Process;

#[derive(Process)]
struct Push<'a> {
    list: &'a mut Vec<u8>,
}

impl Push<'_> {
    fn run(self) {
        self.list.push(1);
    }
}

fn main() -> procession::Result<()> {
    Push { list: &mut vec![] }.spawn()?.join()?;
    Ok(())
}
