package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPages(t *testing.T) {
	for name, tt := range map[string]struct {
		errs  map[string]error // by the token
		asked []string
		names []string
		fails bool
	}{
		"three pages":        {nil, []string{"500 ", "500 1", "500 2"}, []string{"pod-0", "pod-1", "pod-2"}, false},
		"changed meanwhile":  {map[string]error{"1": apierrors.NewResourceExpired("too old")}, []string{"500 ", "500 1", "0 "}, []string{"all"}, false},
		"refused":            {map[string]error{"": errors.New("no")}, []string{"500 "}, nil, true},
		"refused in between": {map[string]error{"2": errors.New("no")}, []string{"500 ", "500 1", "500 2"}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			var asked, names []string
			pages, err := Pages(t.Context(), metav1.ListOptions{LabelSelector: "a=b"}, func(_ context.Context, o metav1.ListOptions) (*corev1.PodList, error) {
				asked = append(asked, fmt.Sprintf("%d %s", o.Limit, o.Continue))
				if err := tt.errs[o.Continue]; err != nil {
					return nil, err
				}
				if o.LabelSelector != "a=b" {
					t.Error("the selector is lost")
				}
				page := &corev1.PodList{Items: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "pod-" + max(o.Continue, "0")}}}}
				switch {
				case o.Limit == 0:
					page.Items[0].Name = "all"
				case o.Continue != "2":
					page.Continue = map[string]string{"": "1", "1": "2"}[o.Continue]
				}
				return page, nil
			})
			for _, page := range pages {
				for _, p := range page.Items {
					names = append(names, p.Name)
				}
			}
			if (err != nil) != tt.fails || !slices.Equal(asked, tt.asked) || !slices.Equal(names, tt.names) {
				t.Errorf("%q, %v, asked %q; want %q, asked %q", names, err, asked, tt.names, tt.asked)
			}
		})
	}
}
