package audit

import "container/heap"

// ranking knows which namespace takes most of something. It is a heap.Interface.
type ranking struct {
	size    func(*tenant) int
	place   func(*tenant) *int // where a namespace keeps its index
	tenants []*tenant
}

func (r *ranking) add(t *tenant)    { heap.Push(r, t) }
func (r *ranking) remove(t *tenant) { heap.Remove(r, *r.place(t)) }
func (r *ranking) update(t *tenant) { heap.Fix(r, *r.place(t)) }

// largest is the namespace that takes most: the given one if none takes more.
func (r *ranking) largest(t *tenant) *tenant {
	if top := r.tenants[0]; r.size(top) > r.size(t) {
		return top
	}
	return t
}

// Len implements heap.Interface.
func (r *ranking) Len() int { return len(r.tenants) }

// Less implements heap.Interface: the largest is first.
func (r *ranking) Less(i, j int) bool { return r.size(r.tenants[i]) > r.size(r.tenants[j]) }

// Swap implements heap.Interface.
func (r *ranking) Swap(i, j int) {
	r.tenants[i], r.tenants[j] = r.tenants[j], r.tenants[i]
	*r.place(r.tenants[i]), *r.place(r.tenants[j]) = i, j
}

// Push implements heap.Interface.
func (r *ranking) Push(x any) {
	t := x.(*tenant) //nolint:forcetypeassert // add pushes nothing else
	*r.place(t) = len(r.tenants)
	r.tenants = append(r.tenants, t)
}

// Pop implements heap.Interface.
func (r *ranking) Pop() any {
	last := len(r.tenants) - 1
	t := r.tenants[last]
	r.tenants[last] = nil
	r.tenants = r.tenants[:last]
	return t
}
