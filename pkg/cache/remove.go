package cache

import (
	"context"
)

// removeLayers deletes all segments of layers that no head names.
func (c *Cache) removeLayers(ctx context.Context, f folder, ids ...string) error {
	var names []string
	for _, id := range ids {
		for object, err := range c.bucket.List(ctx, f.layer(id)) {
			if err != nil {
				return err
			}
			names = append(names, object.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return c.bucket.Delete(ctx, names...)
}
