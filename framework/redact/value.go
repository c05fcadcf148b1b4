package redact

import "reflect"

// In returns a copy of value in which every text is without secrets. Strings of a type of their own, and fields tagged
// `redact:"-"`, are no texts but names that the program has given.
func In[T any](r *Redactor, value T) T {
	copied, ok := r.value(reflect.ValueOf(&value).Elem()).Interface().(T)
	if !ok {
		return value // a nil interface
	}
	return copied
}

var text = reflect.TypeFor[string]()

func (r *Redactor) value(v reflect.Value) reflect.Value {
	copied := reflect.New(v.Type()).Elem()
	copied.Set(v)
	switch v.Kind() {
	case reflect.String:
		if v.Type() == text {
			copied.SetString(r.Text(v.String()))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			copied.Set(reflect.New(v.Type().Elem()))
			copied.Elem().Set(r.value(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			copied.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				copied.Index(i).Set(r.value(v.Index(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			copied.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for key, inner := range v.Seq2() {
				copied.SetMapIndex(key, r.value(inner))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("redact") != "-" {
				copied.Field(i).Set(r.value(v.Field(i)))
			}
		}
	}
	return copied
}
