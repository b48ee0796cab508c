// For node-redis' suite: its checks of clusters are left out, since there are no clusters here yet.
const TestUtils = require('@redis/test-utils').default;

TestUtils.prototype.testWithCluster = (title) => it.skip(title);
