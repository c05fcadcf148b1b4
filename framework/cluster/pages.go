package cluster

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pageSize is how many objects the API server is asked for at a time.
const pageSize = 500

// Pages lists objects a page at a time, so that a list of all pods of a large cluster is not one answer. A list that has
// changed too much meanwhile to be continued is read again as a whole.
func Pages[List interface{ GetContinue() string }](ctx context.Context, options metav1.ListOptions, list func(context.Context, metav1.ListOptions) (List, error)) ([]List, error) {
	options.Limit = pageSize
	var pages []List
	for {
		page, err := list(ctx, options)
		switch {
		case err != nil && options.Continue != "" && apierrors.IsResourceExpired(err):
			pages, options.Limit, options.Continue = nil, 0, ""
			continue
		case err != nil:
			return nil, err
		}
		pages = append(pages, page)
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return pages, nil
		}
	}
}

// Items lists objects as Pages does, and returns those of all pages.
func Items[List interface{ GetContinue() string }, Item any](ctx context.Context, options metav1.ListOptions, list func(context.Context, metav1.ListOptions) (List, error), items func(List) []Item) ([]Item, error) {
	pages, err := Pages(ctx, options, list)
	if err != nil {
		return nil, err
	}
	var all []Item
	for _, page := range pages {
		all = append(all, items(page)...)
	}
	return all, nil
}
