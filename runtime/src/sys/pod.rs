//! Checks whether a generic type is a known type, and uses its value as such.
//!
//! Serde's calls are generic over the type of their argument. [`typeid`] identifies that type,
//! whatever lifetimes it has.

use std::{any::TypeId, borrow::Cow, marker::PhantomData, mem::ManuallyDrop, ptr};

/// Returns what a reference points to, if it is a reference to a `K`.
///
/// `R: 'a` says that the reference lives for `'a`. `K` must be a type without lifetimes.
pub(crate) fn target<'a, R: 'a, K: ?Sized + 'static>(reference: &R) -> Option<&'a K> {
    if typeid::of::<R>() != typeid::of::<&K>() {
        return None;
    }
    // SAFETY: the types are the same but for the lifetime of the reference, which is `'a` or
    // longer; nothing else in it has one. A shared reference may be copied.
    Some(unsafe { std::mem::transmute_copy::<R, &'a K>(reference) })
}

/// Returns the value as a `K`, if `T` is `K` or a reference to a `K`. `K` must be a type without
/// lifetimes.
pub(crate) fn seen<'a, T: ?Sized, K: ?Sized + 'static>(value: &'a T) -> Option<&'a K> {
    if let Some(seen) = target::<&'a T, K>(&value) {
        return Some(seen);
    }
    if typeid::of::<T>() != typeid::of::<&K>() {
        return None;
    }
    let value: *const T = value;
    // SAFETY: the types are the same but for the lifetime of the reference, which is `'a` or
    // longer, since `T` lives for `'a`; nothing else in it has one. A shared reference may be
    // copied.
    Some(unsafe { value.cast::<&'a K>().read() })
}

/// Returns what a `Cow` holds, if `T` is such a `Cow` or a reference to one. `B` must be a type
/// without lifetimes.
pub(crate) fn seen_cow<'a, T: ?Sized, B>(value: &'a T) -> Option<&'a B>
where
    B: ?Sized + ToOwned + 'static,
{
    let mut at = ptr::from_ref(value).cast::<()>();
    if typeid::of::<T>() == typeid::of::<&Cow<'_, B>>() {
        // SAFETY: the value is a reference to a `Cow`, which may be read as a pointer.
        at = unsafe { at.cast::<*const ()>().read() };
    } else if typeid::of::<T>() != typeid::of::<Cow<'_, B>>() {
        return None;
    }
    // SAFETY: there is a `Cow` that is lent for `'a`, and what it borrows lives for `'a` or longer.
    let cow = unsafe { &*at.cast::<Cow<'a, B>>() };
    Some(cow.as_ref())
}

/// Returns a value as a `T`, if that is its type; gives it back otherwise. `K` must be a type
/// without lifetimes.
pub(crate) fn same<K: 'static, T>(value: K) -> Result<T, K> {
    if typeid::of::<T>() != typeid::of::<K>() {
        return Err(value);
    }
    let value = ManuallyDrop::new(value);
    // SAFETY: the types are the same, since no other type has the id of a type without lifetimes.
    // The old place forgets the value.
    Ok(unsafe { std::mem::transmute_copy::<ManuallyDrop<K>, T>(&value) })
}

/// A place for a value of one type, for code that does not know the type.
pub(crate) struct Slot<'p> {
    /// The type of the value.
    id: TypeId,
    /// The place, an `Option` of that type.
    place: *mut (),
    lent: PhantomData<&'p mut ()>,
}

impl Slot<'_> {
    /// Puts a value into the place if it is of the type of the place. Otherwise drops it. `K` must
    /// be a type without lifetimes.
    pub(crate) fn put<K: 'static>(&mut self, value: K) {
        if typeid::of::<K>() == self.id {
            // SAFETY: the place is an `Option<K>`, since no other type has the id of a type without
            // lifetimes. It is lent to this slot alone.
            let place = unsafe { &mut *self.place.cast::<Option<K>>() };
            *place = Some(value);
        }
    }
}

/// Returns the value that `fill` puts into the slot.
pub(crate) fn filled<T>(fill: impl FnOnce(&mut Slot<'_>)) -> Option<T> {
    let mut place: Option<T> = None;
    fill(&mut Slot {
        id: typeid::of::<T>(),
        place: (&raw mut place).cast(),
        lent: PhantomData,
    });
    place
}

#[cfg(test)]
mod tests {
    use super::{filled, same, seen, seen_cow, target};
    use std::{borrow::Cow, path::Path};

    #[test]
    fn target_is_seen_if_it_is_what_is_looked_for() {
        let vec = vec![1.5_f64, 2.5];
        assert_eq!(target::<&Vec<f64>, Vec<f64>>(&&vec), Some(&vec));
        assert_eq!(target::<&[f64], [f64]>(&&vec[..]), Some(&vec[..]));
        assert_eq!(target::<&Vec<f64>, [f64]>(&&vec), None);
        assert_eq!(target::<&Vec<f64>, Vec<u64>>(&&vec), None);
        assert_eq!(target::<Vec<f64>, Vec<f64>>(&vec), None);
    }

    #[test]
    fn value_is_seen_through_a_reference() {
        let text = "text".to_owned();
        assert_eq!(seen::<String, String>(&text), Some(&text));
        assert_eq!(seen::<&String, String>(&&text), Some(&text));
        assert_eq!(seen::<&str, str>(&&text[..]), Some("text"));
        assert_eq!(seen::<str, str>(&text), Some("text"));
        assert_eq!(seen::<str, String>(&text), None);
        let path = Path::new(&text);
        let (borrowed, owned) = (Cow::Borrowed(path), Cow::Owned(path.to_owned()));
        assert_eq!(seen_cow::<Cow<'_, Path>, Path>(&borrowed), Some(path));
        assert_eq!(seen_cow::<&Cow<'_, Path>, Path>(&&owned), Some(path));
        assert_eq!(seen_cow::<Path, Path>(path), None);
        assert_eq!(seen_cow::<Cow<'_, str>, Path>(&Cow::Borrowed("")), None);
    }

    #[test]
    fn slot_takes_values_of_its_type() {
        assert_eq!(filled(|slot| slot.put(vec![1_u8])), Some(vec![1_u8]));
        assert_eq!(filled::<Vec<i8>>(|slot| slot.put(vec![1_u8])), None);
        assert_eq!(filled::<Vec<u8>>(|_| ()), None);
        let twice = filled(|slot| {
            slot.put(vec![1_u8]);
            slot.put(vec![2_u8]);
        });
        assert_eq!(twice, Some(vec![2_u8]));
    }

    #[test]
    fn value_is_itself_or_handed_back() {
        assert_eq!(same::<_, Vec<u8>>(vec![1_u8]), Ok(vec![1_u8]));
        assert_eq!(same::<_, Vec<i8>>(vec![1_u8]), Err(vec![1_u8]));
    }
}
